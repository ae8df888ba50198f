"""Creates the platform's topics, or says what is wrong with those that exist."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import typer
from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from services.contracts.topics import TOPICS, Topic
from services.eventing.log_options import EXIT_TRY_AGAIN, Bootstrap, cluster_line, connection_options

REQUEST_TIMEOUT_MS = 10_000
BOOTSTRAP_TIMEOUT_MS = 10_000
READY_TIMEOUT_MS = 30_000
EXIT_REFUSED = 1

KEPT_FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
"""Facts are never thrown away, and never compacted: a compacted topic has gaps in its offsets."""


class TopicsRefusedError(Exception):
    """Topics are not as the platform needs them; ``faults`` says one by one how."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class FoundTopic(NamedTuple):
    """What a cluster says of one topic."""

    partitions: int
    settings: Mapping[str, str]


def faults_of(found: Mapping[str, FoundTopic], wanted: Iterable[Topic]) -> list[str]:
    """What is wrong with the topics of a cluster, one line each; topics that are not ours do not matter."""
    return [fault for topic in wanted for fault in _faults_of(topic, found.get(topic.name))]


def _faults_of(topic: Topic, found: FoundTopic | None) -> Iterator[str]:
    if found is None:
        yield f"{topic.name} is missing: run `create`"
        return
    if found.partitions != topic.partitions:
        # More partitions would send a key's next event elsewhere and its order would be lost.
        yield (
            f"{topic.name} has {found.partitions} partitions, not {topic.partitions}: partition counts never change; "
            "growth is a new generation of topics"
        )
    for name, value in KEPT_FOR_EVER.items():
        if found.settings.get(name) != value:
            yield f"{topic.name} has {name}={found.settings.get(name)}, not {value}: facts are kept for ever"


def create_topics(
    bootstrap: str,
    *,
    topics: Sequence[Topic] = TOPICS,
    replication_factor: int = -1,
    min_insync_replicas: int | None = None,
    settings: Mapping[str, object] | None = None,
) -> list[str]:
    """Creates what is missing and returns its names; safe to run again and from several places at once.

    ``replication_factor`` -1 is the cluster's default. ``settings`` are kafka-python's own for security. Raises
    ``TopicsRefusedError`` for what exists otherwise, before it creates anything; ``KafkaError`` if the cluster fails.
    """
    more = {} if min_insync_replicas is None else {"min.insync.replicas": str(min_insync_replicas)}
    with _admin(bootstrap, settings) as admin:
        existing = _find(admin, topics)
        _refuse(faults_of(existing, [topic for topic in topics if topic.name in existing]))
        missing = [topic for topic in topics if topic.name not in existing]
        _create(admin, missing, replication_factor, {**KEPT_FOR_EVER, **more})
        admin.wait_for_topics([topic.name for topic in missing], timeout_ms=READY_TIMEOUT_MS)
        _refuse(faults_of(_find(admin, topics), topics))
    return [topic.name for topic in missing]


def check_topics(
    bootstrap: str, *, topics: Sequence[Topic] = TOPICS, settings: Mapping[str, object] | None = None
) -> None:
    """Raises ``TopicsRefusedError`` if a topic is missing or not as it must be; ``KafkaError`` if the cluster fails."""
    with _admin(bootstrap, settings) as admin:
        _refuse(faults_of(_find(admin, topics), topics))


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise TopicsRefusedError(faults)


@contextmanager
def _admin(bootstrap: str, settings: Mapping[str, object] | None) -> Iterator[Any]:
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","),
        client_id="topics-tool",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
        **(settings or {}),
    )
    try:
        yield admin
    finally:
        admin.close()


def _find(admin: Any, topics: Sequence[Topic]) -> dict[str, FoundTopic]:
    """What exists of these topics. Asks for all topics: to ask for one by name may create it."""
    names = {topic.name for topic in topics}
    partitions = {
        found["name"]: len(found["partitions"]) for found in admin.describe_topics() if found["name"] in names
    }
    if not partitions:
        return {}
    asked = [ConfigResource("topic", name, configs=dict.fromkeys(KEPT_FOR_EVER)) for name in partitions]
    settings = admin.describe_configs(asked, config_filter="all")["topic"]
    return {
        name: FoundTopic(count, {key: value["value"] for key, value in settings[name].items()})
        for name, count in partitions.items()
    }


def _create(admin: Any, topics: Sequence[Topic], replication_factor: int, settings: Mapping[str, str]) -> None:
    if not topics:
        return
    asked = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": replication_factor,
            "configs": dict(settings),
        }
        for topic in topics
    }
    answer = admin.create_topics(asked, timeout_ms=REQUEST_TIMEOUT_MS, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        # Where somebody else did it meanwhile, the check that follows says whether it is the same.
        if error not in {NoError, TopicAlreadyExistsError}:
            raise error(f"{topic['name']}: {topic['error_message']}")


app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, callback=connection_options)


@app.command()
def create(
    context: typer.Context,
    bootstrap: Bootstrap,
    replication_factor: Annotated[int, typer.Option(help="-1 is the cluster's default.")] = -1,
    min_insync_replicas: Annotated[int | None, typer.Option(help="By default the cluster's.")] = None,
) -> None:
    """Creates the topics that are missing, and checks all."""
    with _told(bootstrap):
        created = create_topics(
            bootstrap,
            replication_factor=replication_factor,
            min_insync_replicas=min_insync_replicas,
            settings=context.obj,
        )
    typer.echo(f"{len(created)} topics created, {len(TOPICS) - len(created)} were there")


@app.command()
def check(context: typer.Context, bootstrap: Bootstrap) -> None:
    """Says what is wrong with the topics; ends with 0 if nothing is."""
    with _told(bootstrap):
        check_topics(bootstrap, settings=context.obj)
    typer.echo(f"{len(TOPICS)} topics are as they must be")


@contextmanager
def _told(bootstrap: str) -> Iterator[None]:
    """Turns what went wrong into lines and an exit code."""
    try:
        yield
    except TopicsRefusedError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        raise typer.Exit(EXIT_REFUSED) from error
    except KafkaError as error:
        typer.echo(cluster_line(bootstrap, error), err=True)
        raise typer.Exit(EXIT_TRY_AGAIN) from error


if __name__ == "__main__":
    app()
