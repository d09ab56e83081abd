"""How fast the broker is: ratios within one run, by `make bench`."""
