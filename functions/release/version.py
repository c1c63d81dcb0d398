"""The live version, if a GPU can serve it."""

from slipway.artifact import GPU_GATE, Manifest, model_file
from slipway.errors import ArtifactError, ModelUnavailable
from slipway.releases import Live
from slipway.store import Store


def servable(store: Store) -> Live:
    """The live pointer.

    Raises ModelUnavailable before the first promotion, and ArtifactError if the version has nothing for a GPU, if that
    answers otherwise than CPUs do, if its manifest was changed, or if it lacks the signature that the store demands.
    Whether its files are what the manifest says, the container finds out before it answers.
    """
    live = store.live()
    if live is None:
        raise ModelUnavailable(
            f"No version of {store.model!r} is live.", remedy="`slipway promote` one, then deploy the endpoint."
        )
    manifest = store.manifest(live.version)
    if model_file("fp16") not in manifest.files:
        raise ArtifactError(
            f"{store.model} {live.version} has no {model_file('fp16')}: a GPU cannot serve it.",
            remedy="Build it again with fp16 and promote that.",
        )
    _check_agreement(manifest)
    return live


def _check_agreement(manifest: Manifest) -> None:
    gate = next((gate for gate in manifest.gates if gate["name"] == GPU_GATE), None)
    if gate and manifest.serve == "int8" and not gate["passed"]:
        raise ArtifactError(
            f"{manifest.model} {manifest.version}: its {GPU_GATE} is {gate['value']:.4f}, less than {gate['bound']:g}: "
            "callers would be answered otherwise by a GPU.",
            remedy="CPUs serve it. For a GPU, build it again with a gates.agreement that you can defend.",
        )
