"""The fields that are more than a look at their source."""
