"""The live version, if a GPU can serve it."""

from slipway.artifact import model_file
from slipway.errors import ArtifactError, ModelUnavailable
from slipway.releases import Live
from slipway.store import Store


def servable(store: Store) -> Live:
    """The live pointer.

    Raises ModelUnavailable before the first promotion, and ArtifactError if the version has nothing for a GPU, its
    manifest was changed, or it lacks the signature that the store demands. Whether its files are what the manifest
    says, the container finds out before it answers.
    """
    live = store.live()
    if live is None:
        raise ModelUnavailable(
            f"No version of {store.model!r} is live.", remedy="`slipway promote` one, then deploy the endpoint."
        )
    if model_file("fp16") not in store.manifest(live.version).files:
        raise ArtifactError(
            f"{store.model} {live.version} has no {model_file('fp16')}: a GPU cannot serve it.",
            remedy="Build it again with fp16 and promote that.",
        )
    return live
