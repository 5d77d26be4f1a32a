"""The methods of `dss.Client` that have little to do with its others, a module for each topic."""
