"""Binds the parts of registry to their surroundings; importing it does nothing."""

from collections.abc import Sequence

from fastapi import FastAPI

from services.eventing.batch import BatchHandler
from services.eventing.ports import Ports
from services.eventing.relay.due import DueWork
from services.registry.api import ROUTERS
from services.registry.deliveries import store as deliveries
from services.registry.deliveries.handlers import Change, DeliveriesHandler, DeliveriesState
from services.registry.organisations import store as organisations
from services.registry.personal.vault import NoVault, Vault
from services.registry.problems import PROBLEMS
from services.registry.settings import RegistrySettings, master_key_of
from services.registry.units import store as units
from services.registry.volunteers import store as volunteers
from services.runtime import vault as personal_vault
from services.runtime.http import build_app
from services.runtime.service import Service
from services.runtime.settings import HttpSettings

NAME = "registry"
COLLECTIONS = (
    *units.COLLECTIONS,
    *organisations.COLLECTIONS,
    *volunteers.COLLECTIONS,
    *deliveries.COLLECTIONS,
    *personal_vault.COLLECTIONS,
)
INDEXES = (
    *units.INDEXES,
    *organisations.INDEXES,
    *volunteers.INDEXES,
    *deliveries.INDEXES,
    *personal_vault.INDEXES,
)


def build_api(ports: Ports, settings: HttpSettings, *, vault: Vault | None = None) -> FastAPI:
    """The HTTP app with the given vault, else the one that the settings name.

    Settings without a database or a master key suffice to describe the app, which is then never ready.
    """
    vault = vault or _vault_of(settings)
    return build_app(
        service=NAME,
        ports=ports,
        settings=settings,
        problems=PROBLEMS,
        routers=ROUTERS,
        readiness=[vault.ping],
        state={"vault": vault},
    )


def _vault_of(settings: HttpSettings) -> Vault:
    """A vault in the service's own database. Its connections live as long as the process."""
    key = master_key_of(settings)
    if key is None or not isinstance(settings, RegistrySettings):
        return NoVault()
    return personal_vault.MongoVault.connect(settings.mongodb_uri.get_secret_value(), settings.database, key)


def build_handler() -> BatchHandler[DeliveriesState, Change]:
    """What the processor gives its batches to."""
    return DeliveriesHandler()


def due_work(ports: Ports) -> Sequence[DueWork]:
    """What the relay does when it is due: nothing yet."""
    del ports
    return ()


SERVICE = Service(
    name=NAME,
    settings=RegistrySettings,
    build_api=build_api,
    build_handler=build_handler,
    due_work=due_work,
    collections=COLLECTIONS,
    indexes=INDEXES,
)
