"""The REST service. A request enters in `app`, is read by `contract`, and answered by its area's module."""
