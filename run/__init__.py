"""What is started, by Cloud Run or by a person: the API, the local stack, the command line."""
