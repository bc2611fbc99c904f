"""Detectors, nulls and changes by the names under which results are kept and shown."""

OURS, MATCHED = "Driftline", "Driftline, at ADWIN's rate"
ADWIN, KSWIN, EVIDENTLY, NANNYML, PSI = "ADWIN", "KSWIN", "Evidently", "NannyML", "PSI"
ALL = (OURS, MATCHED, ADWIN, EVIDENTLY, NANNYML, PSI, KSWIN)

SHUFFLED, AUTOREGRESSIVE, SEASONAL = "real columns, shuffled", "AR(1), 0.5", "daily cycle, 0.15 sd"
NULLS = (SHUFFLED, AUTOREGRESSIVE, SEASONAL)
CREEPS = {"mean +0.01 sd a window": 0.01, "mean +0.001 sd a window": 0.001}
SHIFTS = {"mean +0.1 sd": 0.1, "mean +0.25 sd": 0.25, "mean +0.5 sd": 0.5}
REAL_SHIFT, REAL_SCALE, REAL_CONSTANT = "real: mean +0.25 sd", "real: sd x 1.2", "real: 5 % turn 0"
SCALE, CONSTANT, SWAP = "sd x 1.2", "5 % turn 0", "real: two categories swap"
MEANS = (*SHIFTS, REAL_SHIFT)
OTHERS = (SCALE, REAL_SCALE, CONSTANT, REAL_CONSTANT, SWAP)
CHANGES = (*MEANS, *OTHERS, *CREEPS)
