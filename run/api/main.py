"""The application that a server imports: `gunicorn run.api.main:app`."""

from run.api.app import create_app
from run.api.gateway import Gateway
from shared.config import Settings
from shared.logs import configure_logging
from shared.wiring import open_system

_settings = Settings.from_environment()
configure_logging(_settings.debug)
app = Gateway(create_app(open_system(_settings)), _settings)
