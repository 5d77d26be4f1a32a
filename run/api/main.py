"""The application that a server imports: `gunicorn run.api.main:app`."""

from run.api.app import create_app
from run.api.gateway import Gateway
from shared.process import begin
from shared.wiring import open_system

_settings = begin()
app = Gateway(create_app(open_system(_settings)), _settings)
