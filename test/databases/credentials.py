"""Database credentials and their leases through hvac, against the server and the database of the environment.

Says on stdout one JSON object: what each call gave. Credentials are in VAULT_ADDR, VAULT_TOKEN, DB_URL, DB_USER, DB_PASSWORD.
"""

import json
import os

import hvac

client = hvac.Client()
database = client.secrets.database
gave = {}


def call(name, work):
    value = work()
    gave[name] = value if isinstance(value, dict) else getattr(value, "status_code", value)
    return value


call("enable", lambda: client.sys.enable_secrets_engine("database"))
call(
    "configure",
    lambda: database.configure(
        name="app",
        plugin_name="postgresql-database-plugin",
        allowed_roles=["app", "reports"],
        connection_url=os.environ["DB_URL"],
        username=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
    ),
)
call("connection", lambda: database.read_connection(name="app")["data"])
call("connections", lambda: database.list_connections()["data"])
call("rotate root", lambda: database.rotate_root_credentials(name="app"))
create = ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"]
call(
    "role",
    lambda: database.create_role(
        name="app", db_name="app", creation_statements=create, default_ttl="1h", max_ttl="2h"
    ),
)
call("role read", lambda: database.read_role(name="app")["data"])
call("roles", lambda: database.list_roles()["data"])
made = call("credentials", lambda: database.generate_credentials(name="app"))
lease = made["lease_id"]
prefix = "database/creds/app/"
call("lease", lambda: client.sys.read_lease(lease)["data"])
call("leases", lambda: client.sys.list_leases(prefix)["data"])
call("renew", lambda: client.sys.renew_lease(lease, increment=1800))
call("revoke", lambda: client.sys.revoke_lease(lease))
for _ in range(2):
    database.generate_credentials(name="app")
call("revoke prefix", lambda: client.sys.revoke_prefix("database/creds/app"))
static = {"username": "reports", "rotation_period": 3600}
call("static role", lambda: database.create_static_role(name="reports", db_name="app", rotation_statements=[], **static))
call("static credentials", lambda: database.get_static_credentials(name="reports")["data"])
call("static rotate", lambda: database.rotate_static_role_credentials(name="reports"))
call("static credentials after", lambda: database.get_static_credentials(name="reports")["data"])
call("static roles", lambda: database.list_static_roles()["data"])
call("static role delete", lambda: database.delete_static_role(name="reports"))
call("role delete", lambda: database.delete_role(name="app"))
call("reset", lambda: database.reset_connection(name="app"))
call("connection delete", lambda: database.delete_connection(name="app"))
print(json.dumps(gave))
