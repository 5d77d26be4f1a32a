"""`dss admin`: what operators do, with their own credentials."""
