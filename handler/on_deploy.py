"""CodeDeploy, before traffic: the golden rows through the new versions, and Succeeded or Failed in its words."""

import os
import time
from typing import Any

from handler import deploy_calls, deploy_check, runtime
from handler.observe import Observer
from handler.settings import Settings


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one hook of one deployment; an alias moves only if it says Succeeded."""
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    observer = Observer(Settings(store=""))
    answer: dict[str, Any] = {"status": "Failed"}
    try:
        settings = Settings.from_env(os.environ)  # here, so that a wrong one is reported, too
        observer = Observer(settings)
        store, registry = runtime.models(settings, observer)
        http, direct = (deploy_calls.Version(arn).invoke for arn in _versions(settings))
        found = deploy_check.recorded(registry, store)
        answer = {"status": "Succeeded", "checked": deploy_check.check(found, http, direct, end)}
    except Exception as error:
        answer |= {"error": type(error).__name__, "reason": str(error)}
    level = observer.logger.info if answer["status"] == "Succeeded" else observer.logger.error
    level("deploy checked", extra={"fields": answer | {"deployment": event["DeploymentId"]}})
    deploy_calls.report(event, succeeded=answer["status"] == "Succeeded")
    return answer


def _versions(settings: Settings) -> tuple[str, str]:
    if not (settings.deploy_http and settings.deploy_invoke):
        raise deploy_check.CheckFailed("MODEL_DEPLOY_HTTP, MODEL_DEPLOY_INVOKE: expected the versions to ask")
    return settings.deploy_http, settings.deploy_invoke
