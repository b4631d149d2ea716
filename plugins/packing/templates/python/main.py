"""A plugin for AtlasHub. Each interface that the manifest requests is a module of `wit_world.imports`."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Error, ErrorCode


async def greet(params: dict) -> dict:
    log.write(log.Level.INFO, f"Greeting {params['name']}", "")
    return {"greeting": f"Hello, {params['name']}!"}


class Job(exports.Job):
    async def run(self, context, params: str) -> str:
        if context.job != "greet":
            raise Err(Error(ErrorCode.INVALID, f"unknown job {context.job}", None))
        return json.dumps(await greet(json.loads(params)))
