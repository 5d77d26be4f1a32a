"""The routes of the REST API, a module for each area; `dss.Client` is made of them."""
