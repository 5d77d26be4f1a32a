"""`dss deploy`: what a person runs before and after a deployment, from a checkout.

command.py        the command line
configuration.py  what terraform/ and a deployment's variables say
findings.py       what a check finds, and what to do about it
offline.py        checks that need no cloud
google.py, aws.py checks that ask the clouds, with the credentials of who runs them
check.py          all checks, and their report
smoke.py          whether a deployed API works
"""
