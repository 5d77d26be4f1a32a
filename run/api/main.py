"""The application that a server imports: `gunicorn run.api.main:app`."""

from run.api.app import create_app
from shared.config import Settings
from shared.logs import configure_logging
from shared.wiring import open_system

configure_logging()
app = create_app(open_system(Settings.from_environment()))
