"""What is done with models while nothing is served: packages are drafted and made, files are scored."""
