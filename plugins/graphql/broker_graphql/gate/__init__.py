"""What every operation has to pass before anything of it is executed."""
