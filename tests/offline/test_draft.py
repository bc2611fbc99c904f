"""What is guessed of a model, and where it is said that it was a guess."""

from pathlib import Path

import duckdb
import pytest

from driftline.errors import ModelError, TableError
from driftline.offline.draft import Draft, Wish, draft
from driftline.offline.summary import MOST_DISTINCT, summaries_of
from driftline.scoring.description import Description
from driftline.tables import Table

WISH = Wish("m", "1")
BINARY = Description(("a", "b"), 2, "binary", (0, 1))


def drafted(
    folder: Path, csv: str, described: Description = BINARY, wish: Wish = WISH, name: str = "sample.csv"
) -> Draft:
    path = folder / name
    path.write_text(csv)
    return draft(described, summaries_of(Table(path)), wish)


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("cells", "kind", "nullable"),
    [
        (["1", "2", "3"], "int", False),
        (["1", "2.5", "3"], "float", False),
        (["1", "", "3"], "int", True),
        (["1.5", "NA", "nan"], "float", True),
        (["true", "False"], "bool", False),
        (["true", "1"], "category", False),
        (["x", "2"], "category", False),
        (["1_0"], "category", False),
        (["None", "x"], "category", True),
        (["9007199254740993.0"], "float", False),
        (["10115", "01067"], "category", False),
        (["0", "10"], "int", False),
        (["", "NULL"], "float", True),
    ],
)
def test_a_type_is_the_narrowest_that_holds_all_cells(
    tmp_path: Path, cells: list[str], kind: str, nullable: bool
) -> None:
    rows = [f"1.5,{cell}" for cell in cells]
    _, feature = drafted(tmp_path, table("a,b", *rows)).schema.features
    assert (feature.type, feature.nullable) == (kind, nullable)
    assert feature.range is None
    assert feature.categories is None


def test_typed_tables_tell_types_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "sample.parquet"
    with duckdb.connect() as connection:
        columns = (
            "1.5::DECIMAL(4, 2) AS a, 'NA' AS b, true AS c, DATE '2026-11-26' AS d, CAST(NULL AS INT) AS e, [1] AS f"
        )
        connection.execute(f"COPY (SELECT {columns} FROM range(3)) TO '{path}'")
    found = draft(Description(("a", "b"), 2, "binary"), summaries_of(Table(path)), WISH)
    assert {it.name: (it.type, it.nullable, it.example) for it in found.schema.features} == {
        "a": ("float", False, 1.5),
        "b": ("category", False, "NA"),
        "c": ("bool", False, True),
        "d": ("category", False, "2026-11-26"),
        "e": ("float", True, None),
    }
    assert found.left_out == {"f": "it holds lists, objects or bytes"}


def test_columns_that_the_model_does_not_take_are_context_and_the_target_is_none(tmp_path: Path) -> None:
    found = drafted(tmp_path, table("country,b,Target,a", "de,1.5,0,1.5", "at,2.5,1,2.5"))
    assert [(it.name, it.role) for it in found.schema.features] == [
        ("a", "input"), ("b", "input"), ("country", "context"),
    ]  # fmt: skip
    assert found.target == "Target"
    assert "the column Target is taken" in found.guesses[0]
    assert found.notes["country"].startswith("the model does not take it")
    assert found.schema.labels == ()


def test_a_column_of_the_models_classes_is_taken_for_the_target(tmp_path: Path) -> None:
    flowers = Description(("a",), 1, "multiclass", ("red", "green", "blue"))
    found = drafted(tmp_path, table("a,kind,colour", "1.5,x,red", "2.5,y,blue"), flowers)
    assert (found.target, found.schema.labels) == ("colour", ("red", "green", "blue"))
    # Two such columns leave it open.
    assert drafted(tmp_path, table("a,p,q", "1.5,red,red", "2.5,blue,blue"), flowers).target is None
    named = WISH._replace(target="p")
    assert drafted(tmp_path, table("a,p,q", "1.5,red,red", "2.5,blue,blue"), flowers, named).target == "p"


def test_of_a_model_without_names_the_columns_are_taken_in_their_order_if_they_are_as_many(tmp_path: Path) -> None:
    unnamed = Description(None, 2, "regression")
    found = drafted(tmp_path, table("p,q,price", "1.5,2,3", "2.5,3,4"), unnamed)
    assert ([it.name for it in found.schema.inputs], found.target) == (["p", "q"], "price")
    assert any("does not say which features" in guess for guess in found.guesses)
    with pytest.raises(ModelError, match=r"takes 2 features and does not say which; the sample has 3 columns beside y"):
        drafted(tmp_path, table("p,q,r,y", "1.5,2,3,4"), unnamed)


def test_numbered_classes_get_their_names_from_the_target(tmp_path: Path) -> None:
    numbered = Description(("a",), 1, "multiclass", (0, 1, 2))
    rows = ["1.5,setosa", "2.5,virginica", "3.5,versicolor"]
    assert drafted(tmp_path, table("a,y", *rows), numbered).schema.labels == ("setosa", "versicolor", "virginica")
    assert drafted(tmp_path, table("a,y", "1.5,0", "1,2", "1,1"), numbered).schema.labels == (0, 1, 2)
    assert drafted(tmp_path, table("a,y", "1.5,no", "1,yes"), Description(("a",), 1, "binary")).schema.labels == (
        "no", "yes",
    )  # fmt: skip
    assert drafted(tmp_path, table("a,y", "1.5,1.0", "1,0.0"), Description(("a",), 1, "binary")).schema.labels == ()


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["1", "2", "1"], "2 values: codes of categories, or a number"),
        ([str(at) for at in range(30)], "no two rows have the same: does it identify them"),
        ([str(at % 25) for at in range(60)], "is it always whole"),
        (["10115", "01067"], "digits after a leading zero"),
        (["2026-11-26", "2026-11-27"], "a date?"),
        (["2026-11-26T10:00:00Z", "2026-11-27 10:00"], "a date?"),
        (["26.11.2026", "1.1.2026"], "a date?"),
        ([f"word {at % 60}" for at in range(120)], "more than 50 values: names, or free text"),
        (["x", "x"], "only one value"),
        (["", ""], "no value of it"),
        (["x", "y"], None),
        (["1.5", "2.5"], None),
    ],
)
def test_what_may_be_otherwise_is_pointed_out(tmp_path: Path, cells: list[str], says: str | None) -> None:
    found = drafted(tmp_path, table("a,b", *(f"{at}.5,{cell}" for at, cell in enumerate(cells))))
    assert "a" not in found.notes
    assert (found.notes.get("b") is None) if says is None else (says in found.notes["b"])


def test_many_values_are_not_held_in_memory(tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text(table("a", *(f"name {at}" for at in range(MOST_DISTINCT + 1))))
    assert summaries_of(Table(tmp_path / "sample.csv"))["a"].distinct is None


def test_categories_are_written_only_where_the_model_takes_their_codes(tmp_path: Path) -> None:
    coded = Description(
        ("a", "b"), 2, "binary", types={"a": "category", "b": "category"}, categories={"a": ("z", "x"), "b": ()}
    )
    found = drafted(tmp_path, table("a,b", "x,q", "z,p"), coded)
    assert [it.categories for it in found.schema.features] == [("z", "x"), ("p", "q")]
    assert "its categories, in the order of their codes" in found.notes["b"]


def test_a_blank_is_an_underscore_to_some_libraries(tmp_path: Path) -> None:
    found = drafted(tmp_path, table("mean radius", "1", "2.5"), Description(("mean_radius",), 1, "binary"))
    assert found.schema.names == ("mean radius",)


@pytest.mark.parametrize(
    ("csv", "described", "wish", "says"),
    [
        ("a,c\n1,2\n", BINARY, WISH, r"the model takes b, and the sample has only a, c"),
        ("a,b\n1,2\n", Description(("a",), 1), WISH, r"does not say what it gives: .*--gives"),
        ("a,b\n1,2\n", BINARY, WISH._replace(target="c"), r"no column c"),
        ("a,b\n1,2\n", BINARY, WISH._replace(target="b"), r"takes b as a feature, so it cannot be the target"),
        ("a,b\n1,inf\n", BINARY, WISH, r"takes b, and it holds infinite numbers"),
        ("a,b\n1,9007199254740993\n", BINARY, WISH, r"takes b, and it holds whole numbers beyond 9007199254740991"),
        ('a,"b"""\n1,2\n', Description(("a", 'b"'), 2, "binary"), WISH, "its name has quotes"),
        ("a,b\n1,2\n", Description(("a",), 1, "multiclass"), WISH, "does not name its classes"),
        ("a,y\n1,2\n3,5\n2,7\n", Description(("a",), 1, "binary"), WISH, "y has 3 values: .* say --gives regression"),
    ],
)  # fmt: skip
def test_what_cannot_be_guessed_is_asked_for(
    tmp_path: Path, csv: str, described: Description, wish: Wish, says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        drafted(tmp_path, csv, described, wish)


def test_texts_beside_numbers_are_no_feature(tmp_path: Path) -> None:
    rows = '{"a": 1.5, "b": 2, "c": "x"}\n{"a": 2.5, "b": 3, "c": 4}\n'
    assert drafted(tmp_path, rows, name="s.jsonl").left_out == {"c": "it holds texts and other values"}


@pytest.mark.parametrize("told", [("False", "True"), ("false", "true")])
def test_classes_that_are_truth_values_are_0_and_1(tmp_path: Path, told: tuple[str, str]) -> None:
    rows = [f"1.5,2.5,{told[0]}", f"2.5,1.5,{told[1]}"]
    found = drafted(tmp_path, table("a,b,y", *rows))
    assert (found.target, found.schema.labels) == ("y", ())


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("a,b,vip,bought\n1.5,1,0,1\n2.5,2,1,0\n", "which of vip, bought is predicted? Say it with --target"),
        ("a,b,left\n1.5,1,no\n2.5,2,yes\n", "is left what is predicted? Then say --target left"),
        ("a,b,city\n1.5,1,x\n2.5,2,y\n3.5,2,z\n", ""),
        ("a,b,bought,vip\n1.5,1,1,no\n2.5,2,0,yes\n", ""),
    ],
)
def test_a_spare_column_that_may_be_the_answer_is_asked_about(tmp_path: Path, csv: str, says: str) -> None:
    question = drafted(tmp_path, csv).question
    assert question.startswith(says)
    assert bool(question) == bool(says)


def test_columns_that_the_model_takes_are_never_asked_about(tmp_path: Path) -> None:
    found = drafted(tmp_path, "a,b\n0,1\n1,0\n", Description(None, 2, "binary", (0, 1)))
    assert (found.question, len(found.schema.inputs)) == ("", 2)


def test_a_column_without_a_name_is_left_out_as_an_index(tmp_path: Path) -> None:
    found = drafted(tmp_path, ",a,b\n0,1.5,2.5\n1,2.5,1.5\n", Description(("a", "b"), 2, "regression"))
    assert found.left_out == {"": "a column without a name (an index?)"}


def test_a_number_of_the_model_stays_one_in_spite_of_a_leading_zero(tmp_path: Path) -> None:
    typed = Description(("a", "b"), 2, "binary", types={"b": "int"})
    _, feature = drafted(tmp_path, "a,b\n1.5,007\n2.5,8\n", typed).schema.features
    assert (feature.type, feature.example) == ("int", 7)


def test_a_sample_without_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"sample\.csv has no rows"):
        drafted(tmp_path, "a,b\n")
