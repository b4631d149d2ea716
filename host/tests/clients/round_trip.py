"""A round trip with the client that openapi-python-client generates: projects, keys and a notification channel."""

import os

from atlas_hub_client import AuthenticatedClient
from atlas_hub_client.api.db import list_tables
from atlas_hub_client.api.health import readyz
from atlas_hub_client.api.keys import create_key, list_keys, revoke_key
from atlas_hub_client.api.projects import create_project, get_project, list_projects
from atlas_hub_client.api.tables import list_project_tables
from atlas_hub_client.models import CreateApiKey, CreatedProject, CreateProject, ErrorBody, KeyType


def client(url: str, header: str, token: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=os.environ[url], token=token, prefix="", auth_header_name=header)


admin = client("ADMIN_URL", "x-dev-admin-token", os.environ["ADMIN_TOKEN"])
created = create_project.sync(client=admin, body=CreateProject(name="python"))
assert isinstance(created, CreatedProject), created
project = created.project.id
read = get_project.sync(project, client=admin)
assert read.name == "python", read
assert any(listed.id == project for listed in list_projects.sync(client=admin).items)
assert list_project_tables.sync(project, client=admin).items == []

new = create_key.sync(project, client=admin, body=CreateApiKey(name="extra", type_=KeyType.SECRET))
api = client("PUBLIC_URL", "x-api-key", new.key)
assert list_tables.sync_detailed(client=api).status_code == 200
assert readyz.sync_detailed(client=api).status_code == 200
assert revoke_key.sync_detailed(project, new.api_key.id, client=admin).status_code == 204
assert all(key.id != new.api_key.id or key.revoked_at for key in list_keys.sync(project, client=admin).items)

missing = get_project.sync(project="nothing1", client=admin)
assert isinstance(missing, ErrorBody) and missing.error.code == "not_found", missing
unknown = list_tables.sync_detailed(client=client("PUBLIC_URL", "x-api-key", "ah_sec_nothing"))
assert unknown.status_code == 401, unknown
