"""Calls a new server through hvac and says on stdout, one JSON object a line, what each call gave.

walk.py ADDRESS FOLDER: the folder is the server's audit_directory.
"""

import json
import sys
import time
import warnings

import hvac
import requests

address, folder = sys.argv[1:]
warnings.simplefilter("ignore")


def shown(value):
    # hvac gives 200 as JSON and all else as the response itself.
    return {"status": value.status_code} if isinstance(value, requests.Response) else value


def step(name, call):
    """Runs one call and reports it; what it returned, or None when it raised."""
    value = None
    try:
        value = call()
        report = {"step": name, "ok": True, "detail": shown(value)}
    except Exception as error:  # the class is what the test asks for
        detail = {"class": type(error).__name__, "errors": getattr(error, "errors", None), "text": str(error)}
        report = {"step": name, "ok": False, "detail": detail}
    print(json.dumps(report), flush=True)
    return value


def client_of(token=None):
    return hvac.Client(url=address, token=token)


def begin():
    c = client_of()
    step("init status before", c.sys.is_initialized)
    step("health before init", lambda: c.sys.read_health_status(method="GET"))
    step("secret before init", lambda: c.secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True))
    made = step("init", lambda: c.sys.initialize(secret_shares=3, secret_threshold=2))
    step("init again", lambda: c.sys.initialize(secret_shares=1, secret_threshold=1))
    step("health while sealed", lambda: c.sys.read_health_status(method="HEAD"))
    step("unseal with no key in base64 or hex", lambda: c.sys.submit_unseal_key("!"))
    step("unseal first share", lambda: c.sys.submit_unseal_key(made["keys"][0]))
    step("unseal reset", lambda: c.sys.submit_unseal_key(reset=True))
    step("unseal in one go", lambda: c.sys.submit_unseal_keys(made["keys"][:2]))
    step("seal status", c.sys.read_seal_status)
    step("is sealed", c.sys.is_sealed)
    step("health", lambda: c.sys.read_health_status(method="GET"))
    step("health by HEAD", lambda: c.sys.read_health_status(method="HEAD"))
    step("health with a code of one's own", lambda: c.sys.read_health_status(active_code=299, method="GET"))
    step("leader", c.sys.read_leader_status)
    return made


def audit(c):
    path = f"{folder}/hvac.log"
    step("audit enable", lambda: c.sys.enable_audit_device("file", options={"file_path": path}))
    step("audit list", c.sys.list_enabled_audit_devices)
    step("audit hash", lambda: c.sys.calculate_hash("file", "a value"))
    elsewhere = {"file_path": "/elsewhere/audit.log"}
    step("audit file outside of the folder", lambda: c.sys.enable_audit_device("file", path="b", options=elsewhere))
    step("audit disable", lambda: c.sys.disable_audit_device("file"))
    step("audit list after", c.sys.list_enabled_audit_devices)


def mounts(c):
    step("mount kv v2", lambda: c.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"}))
    config = {"default_lease_ttl": "1h", "max_lease_ttl": "2h"}
    step("mount with settings", lambda: c.sys.enable_secrets_engine("kv-v2", path="more", description="old", config=config))
    step("mount where one is", lambda: c.sys.enable_secrets_engine("kv-v2", path="more"))
    step("mount kv v1", lambda: c.sys.enable_secrets_engine("kv", path="one"))
    step("mount unknown type", lambda: c.sys.enable_secrets_engine("nothing", path="x"))
    step("mounts list", c.sys.list_mounted_secrets_engines)
    step("mount option", lambda: c.sys.retrieve_mount_option("secret", "version"))
    step("mount tune", lambda: c.sys.tune_mount_configuration("more", default_lease_ttl="30m", description="new"))
    step("mount tuning read", lambda: c.sys.read_mount_configuration("more"))
    moved = step("mount move", lambda: c.sys.move_backend("more", "other"))
    step("mount move's end", lambda: end_of_move(c, moved["data"]["migration_id"]))
    step("mount disable", lambda: c.sys.disable_secrets_engine("other"))


def end_of_move(c, migration):
    while True:
        status = c.read("sys/remount/status/" + migration)["data"]["migration_info"]["status"]
        if status != "in-progress":
            return status
        time.sleep(0.05)


def kv1(c):
    kv = c.secrets.kv.v1
    step("kv v1 list of nothing", lambda: kv.list_secrets("app", mount_point="one"))
    step("kv v1 put", lambda: kv.create_or_update_secret("app/db", {"user": "app", "ttl": "90s"}, mount_point="one"))
    step("kv v1 get", lambda: kv.read_secret("app/db", mount_point="one"))
    step("kv v1 list", lambda: kv.list_secrets("app", mount_point="one"))
    step("kv v1 delete", lambda: kv.delete_secret("app/db", mount_point="one"))
    step("kv v1 get after", lambda: kv.read_secret("app/db", mount_point="one"))


def kv2(c):
    kv = c.secrets.kv.v2
    put = kv.create_or_update_secret
    read = kv.read_secret_version
    step("kv v2 list of nothing", lambda: kv.list_secrets(""))
    step("kv v2 get nothing", lambda: read("app/db", raise_on_deleted_version=False))
    step("kv v2 put", lambda: put("app/db", {"user": "app", "n": 12345678901234567890, "deep": {"a": [1, None]}}))
    step("kv v2 get", lambda: read("app/db", raise_on_deleted_version=True))
    step("kv v2 put with cas mismatch", lambda: put("app/db", {"a": 1}, cas=0))
    step("kv v2 put with cas", lambda: put("app/db", {"user": "two"}, cas=1))
    step("kv v2 get version", lambda: read("app/db", version=1, raise_on_deleted_version=True))
    step("kv v2 patch", lambda: kv.patch("app/db", {"more": "3"}))
    step("kv v2 patch of nothing", lambda: kv.patch("nothing", {"a": "b"}))
    step("kv v2 get after patch", lambda: read("app/db", raise_on_deleted_version=True))
    step("kv v2 delete latest", lambda: kv.delete_latest_version_of_secret("app/db"))
    step("kv v2 get deleted, raising", lambda: read("app/db", raise_on_deleted_version=True))
    step("kv v2 get deleted, not raising", lambda: read("app/db", raise_on_deleted_version=False))
    step("kv v2 undelete", lambda: kv.undelete_secret_versions("app/db", [3]))
    step("kv v2 delete versions", lambda: kv.delete_secret_versions("app/db", [1, 2]))
    step("kv v2 destroy", lambda: kv.destroy_secret_versions("app/db", [1]))
    step("kv v2 get destroyed", lambda: read("app/db", version=1, raise_on_deleted_version=False))
    custom = {"owner": "team a"}
    step("kv v2 metadata put", lambda: kv.update_metadata("app/db", 4, True, "1h", custom_metadata=custom))
    step("kv v2 metadata get", lambda: kv.read_secret_metadata("app/db"))
    step("kv v2 put without the cas required", lambda: put("app/db", {"a": 1}))
    put("app/other", {"a": "b"})
    put("top", {"a": "b"})
    step("kv v2 list", lambda: kv.list_secrets("app"))
    step("kv v2 list at the top", lambda: kv.list_secrets(""))
    strict = hvac.Client(url=address, token=c.token, strict_http=True)
    step("kv v2 list without the verb LIST", lambda: strict.secrets.kv.v2.list_secrets("app"))
    step("kv v2 metadata delete", lambda: kv.delete_metadata_and_all_versions("app/db"))
    step("kv v2 get after metadata delete", lambda: read("app/db", raise_on_deleted_version=False))
    step("kv v2 configure", lambda: kv.configure(max_versions=5, cas_required=False, delete_version_after="2h"))
    step("kv v2 configuration", kv.read_configuration)
    step("kv v2 path with blanks and umlauts", lambda: put("a b/ü%", {"a": "ö"}))
    step("kv v2 get with blanks and umlauts", lambda: read("a b/ü%", raise_on_deleted_version=True))


def policies(c):
    rules = 'path "secret/data/app/*" { capabilities = ["read"] }'
    step("policy put", lambda: c.sys.create_or_update_policy("reader", rules))
    step("policy get", lambda: c.sys.read_policy("reader"))
    step("policy list", c.sys.list_policies)
    step("acl policy put as a dictionary", lambda: c.sys.create_or_update_acl_policy(
        "writer", {"path": {"secret/data/*": {"capabilities": ["create", "update"]}}}))
    step("acl policy get", lambda: c.sys.read_acl_policy("writer"))
    step("acl policy list", c.sys.list_acl_policies)
    step("policy delete", lambda: c.sys.delete_policy("writer"))
    step("policy get after", lambda: c.sys.read_policy("writer"))
    step("policy that doesn't parse", lambda: c.sys.create_or_update_policy("bad", 'path "a" { capabilities = ["x"] }'))


def tokens(c):
    t = c.auth.token
    made = step("token create", lambda: t.create(policies=["reader"], ttl="1h", meta={"for": "test"}))
    token, accessor = made["auth"]["client_token"], made["auth"]["accessor"]
    step("token lookup", lambda: t.lookup(token))
    step("token lookup by accessor", lambda: t.lookup_accessor(accessor))
    step("token accessors", lambda: accessor in t.list_accessors()["data"]["keys"])
    step("token renew", lambda: t.renew(token, increment="2h"))
    step("token renew by accessor", lambda: t.renew_accessor(accessor, increment="30m"))
    d = client_of(token)
    step("token lookup self", d.auth.token.lookup_self)
    step("token is authenticated", d.is_authenticated)
    step("token renew self", lambda: d.auth.token.renew_self(increment="20m"))
    read = d.secrets.kv.v2.read_secret_version
    step("allowed by policy", lambda: read("app/other", raise_on_deleted_version=True))
    step("refused by policy", lambda: read("top", raise_on_deleted_version=True))
    step("refused write", lambda: d.secrets.kv.v2.create_or_update_secret("app/other", {"a": "c"}))
    step("capabilities of self", lambda: d.sys.get_capabilities(["secret/data/app/x", "secret/data/top"]))
    step("capabilities by accessor", lambda: c.sys.get_capabilities(["secret/data/app/x"], accessor=accessor))
    step("capabilities of a token", lambda: c.sys.get_capabilities(["secret/data/app/x"], token=token))
    step("capabilities of root", lambda: c.sys.get_capabilities(["any"]))
    step("token revoke self", d.auth.token.revoke_self)
    step("token revoked", d.auth.token.lookup_self)
    step("token revoked is not authenticated", d.is_authenticated)
    periodic = step("token periodic", lambda: t.create(policies=["reader"], period="10m"))
    step("token periodic renewed", lambda: t.renew(periodic["auth"]["client_token"], increment="5h"))
    most = step("token with explicit maximum", lambda: t.create(ttl="1h", explicit_max_ttl="90m", policies=["reader"]))
    step("token renewed up to its maximum", lambda: t.renew(most["auth"]["client_token"], increment="5h"))
    orphan = step("token orphan", lambda: t.create_orphan(policies=["reader"], ttl="1h"))
    step("token orphan lookup", lambda: t.lookup(orphan["auth"]["client_token"]))
    step("token revoke by accessor", lambda: t.revoke_accessor(orphan["auth"]["accessor"]))
    step("token lookup by a revoked accessor", lambda: t.lookup_accessor(orphan["auth"]["accessor"]))
    e = client_of(t.create(policies=["reader"], num_uses=2)["auth"]["client_token"])
    step("token of two uses: first", e.auth.token.lookup_self)
    step("token of two uses: second", e.auth.token.lookup_self)
    step("token of two uses: third", e.auth.token.lookup_self)
    role = {"role_name": "ci", "allowed_policies": ["reader"], "orphan": True, "renewable": False, "path_suffix": "build"}
    step("token role write", lambda: t.create_or_update_role(**role))
    step("token role read", lambda: t.read_role("ci"))
    step("token role list", t.list_roles)
    step("token of a role", lambda: t.create(role_name="ci", ttl="1h"))
    step("token role delete", lambda: t.delete_role("ci"))
    step("token of an unknown role", lambda: t.create(role_name="ci"))
    batch = step("token batch", lambda: t.create(policies=["reader"], type="batch", ttl="1h"))
    b = client_of(batch["auth"]["client_token"])
    step("token batch lookup self", b.auth.token.lookup_self)
    step("token batch renew self", b.auth.token.renew_self)
    step("token batch revoke", lambda: t.revoke(batch["auth"]["client_token"]))
    step("token batch is authenticated", b.is_authenticated)
    step("token batch of limited uses", lambda: t.create(policies=["reader"], type="batch", num_uses=2))
    step("token tidy", t.tidy)
    wrapped = step("token wrapped", lambda: t.create(policies=["reader"], wrap_ttl="60s"))
    step("token unwrapped", lambda: c.sys.unwrap(wrapped["wrap_info"]["token"]))
    step("token unwrapped again", lambda: c.sys.unwrap(wrapped["wrap_info"]["token"]))
    words = step("words wrapped", lambda: c.sys.wrap({"a": "b"}, ttl=120))
    step("words unwrapped by the own token", lambda: client_of(words["wrap_info"]["token"]).sys.unwrap())
    family = t.create(policies=["root"])["auth"]["client_token"]
    child = client_of(family).auth.token.create(policies=["reader"])["auth"]["client_token"]
    step("token revoke orphan", lambda: t.revoke_and_orphan_children(family))
    step("token child outlives it", lambda: t.lookup(child))
    step("token revoke", lambda: t.revoke(child))
    step("token unknown", client_of("hvs.nobody").auth.token.lookup_self)
    step("token missing", lambda: client_of().secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True))


def kubernetes(c):
    k = c.auth.kubernetes
    step("auth enable", lambda: c.sys.enable_auth_method("kubernetes", description="pods"))
    step("auth list", c.sys.list_auth_methods)
    step("auth tune", lambda: c.sys.tune_auth_method("kubernetes", default_lease_ttl="10m", max_lease_ttl="20m"))
    step("auth tuning read", lambda: c.sys.read_auth_method_tuning("kubernetes"))
    step("kubernetes login before configuration", lambda: k.login("app", "a.b.c"))
    step("kubernetes configure", lambda: k.configure("https://127.0.0.1:1", token_reviewer_jwt="x.y.z"))
    step("kubernetes configuration", k.read_config)
    step("kubernetes list of no roles", k.list_roles)
    step("kubernetes role put", lambda: k.create_role(
        "app", ["app"], ["default", "prod"], ttl="15m", policies=["reader"], audience="vault",
        alias_name_source="serviceaccount_name"))
    step("kubernetes role without accounts", lambda: k.create_role("bad", [], ["default"]))
    step("kubernetes role get", lambda: k.read_role("app"))
    step("kubernetes role list", k.list_roles)
    step("kubernetes login with a bad JWT", lambda: k.login("app", "no jwt"))
    step("kubernetes login with an unknown role", lambda: k.login("nobody", "a.b.c"))
    step("kubernetes role delete", lambda: k.delete_role("app"))
    step("kubernetes role get after", lambda: k.read_role("app"))
    step("auth disable", lambda: c.sys.disable_auth_method("kubernetes"))
    step("kubernetes login when disabled", lambda: k.login("app", "a.b.c"))


def identity(c):
    i = c.secrets.identity
    c.sys.enable_auth_method("kubernetes")
    accessor = c.sys.list_auth_methods()["data"]["kubernetes/"]["accessor"]
    made = step("entity create", lambda: i.create_or_update_entity("bob", policies=["reader"], metadata={"a": "b"}))
    bob = made["data"]["id"]
    step("entity update", lambda: i.update_entity(bob, name="robert", metadata={"a": "c"}, policies=["reader"]))
    step("entity by name", lambda: i.create_or_update_entity_by_name("eve", policies=["reader"]))
    eve = i.read_entity_by_name("eve")["data"]["id"]
    step("entity read", lambda: i.read_entity(bob))
    step("entity read by name", lambda: i.read_entity_by_name("robert"))
    step("entity list", i.list_entities)
    step("entity list by name", i.list_entities_by_name)
    step("entity list without the verb LIST", lambda: i.list_entities_by_name(method="GET"))
    made = step("alias create", lambda: i.create_or_update_entity_alias("uid-1", bob, accessor))
    alias = made["data"]["id"]
    step("alias update", lambda: i.update_entity_alias(alias, "uid-2", bob, accessor))
    step("alias read", lambda: i.read_entity_alias(alias))
    step("alias list", i.list_entity_aliases)
    made = step("group create", lambda: i.create_or_update_group("team", policies=["reader"], member_entity_ids=[bob]))
    team = made["data"]["id"]
    step("group update", lambda: i.update_group(team, "team", metadata={"a": "b"}, member_entity_ids=[bob, eve]))
    step("group by name", lambda: i.create_or_update_group_by_name("all", member_group_ids=[team]))
    step("group in a ring", lambda: i.update_group(
        team, "team", member_group_ids=[i.read_group_by_name("all")["data"]["id"]]))
    step("group read", lambda: i.read_group(team))
    step("group read by name", lambda: i.read_group_by_name("all"))
    step("group list", i.list_groups)
    step("group list by name", i.list_groups_by_name)
    external = i.create_or_update_group("ops", group_type="external")["data"]["id"]
    made = step("group alias create", lambda: i.create_or_update_group_alias(
        "ops", mount_accessor=accessor, canonical_id=external))
    tied = made["data"]["id"]
    step("group alias update", lambda: i.update_group_alias(tied, "operators", accessor, external))
    step("group alias read", lambda: i.read_group_alias(tied))
    step("group alias list", i.list_group_aliases)
    step("lookup entity", lambda: i.lookup_entity(alias_name="uid-2", alias_mount_accessor=accessor))
    step("lookup entity of nobody", lambda: i.lookup_entity(name="nobody"))
    step("lookup group", lambda: i.lookup_group(alias_id=tied))
    step("group alias delete", lambda: i.delete_group_alias(tied))
    step("entity merge", lambda: i.merge_entities([eve], bob))
    step("entity read after the merge", lambda: i.read_entity(bob))
    step("alias delete", lambda: i.delete_entity_alias(alias))
    step("group delete", lambda: i.delete_group(team))
    step("group delete by name", lambda: i.delete_group_by_name("all"))
    step("entity delete", lambda: i.delete_entity(bob))
    step("entity delete by name", lambda: i.delete_entity_by_name("eve"))
    step("entity read after", lambda: i.read_entity(bob))
    c.sys.disable_auth_method("kubernetes")
def approle(c):
    a = c.auth.approle
    c.sys.enable_auth_method("approle")
    step("approle list of no roles", a.list_roles)
    step("approle role put", lambda: a.create_or_update_approle(
        "app", token_policies=["reader"], token_ttl="15m", secret_id_ttl="10m", secret_id_num_uses=2))
    step("approle role get", lambda: a.read_role("app"))
    step("approle role list", a.list_roles)
    role_id = step("approle role id", lambda: a.read_role_id("app"))["data"]["role_id"]
    made = step("approle secret id", lambda: a.generate_secret_id("app", metadata={"team": "a"}))["data"]
    secret_id, accessor = made["secret_id"], made["secret_id_accessor"]
    step("approle secret id read", lambda: a.read_secret_id("app", secret_id))
    step("approle accessors", lambda: a.list_secret_id_accessors("app")["data"]["keys"] == [accessor])
    step("approle accessor read", lambda: a.read_secret_id_accessor("app", accessor))
    d = client_of()
    step("approle login", lambda: d.auth.approle.login(role_id, secret_id))
    step("approle logged in", d.auth.token.lookup_self)
    step("approle login with a wrong secret id", lambda: client_of().auth.approle.login(role_id, "x"))
    step("approle login with an unknown role id", lambda: client_of().auth.approle.login("x", "x"))
    step("approle secret id of one's own", lambda: a.create_custom_secret_id("app", "mine"))
    step("approle secret id of one's own again", lambda: a.create_custom_secret_id("app", "mine"))
    step("approle secret id destroy", lambda: a.destroy_secret_id("app", "mine"))
    step("approle accessor destroy", lambda: a.destroy_secret_id_accessor("app", accessor))
    step("approle accessor read after", lambda: a.read_secret_id_accessor("app", accessor))
    step("approle role id put", lambda: a.update_role_id("app", "another"))
    step("approle role delete", lambda: a.delete_role("app"))
    step("approle role get after", lambda: a.read_role("app"))
    locked = [client_of() for _ in range(5)]
    a.create_or_update_approle("locked", token_policies=["reader"])
    name = a.read_role_id("locked")["data"]["role_id"]
    for one in locked:
        step_quietly(lambda: one.auth.approle.login(name, "x"))
    step("approle locked out", lambda: client_of().auth.approle.login(name, "x"))
    step("locked users", lambda: c.read("sys/locked-users"))
    c.sys.disable_auth_method("approle")


def step_quietly(call):
    try:
        call()
    except hvac.exceptions.InvalidRequest:
        pass


def not_here(c):
    step("path without a mount", lambda: c.read("nothing/here"))
    step("path that sys has not", lambda: c.sys.list_namespaces())
    step("lease renew", lambda: c.sys.renew_lease("secret/nothing"))


def end(c, made):
    step("seal", c.sys.seal)
    step("sealed read", lambda: c.secrets.kv.v2.read_secret_version("top", raise_on_deleted_version=True))
    step("sealed lookup", c.auth.token.lookup_self)
    step("sealed status", lambda: c.sys.read_seal_status()["sealed"])
    c.sys.submit_unseal_keys(made["keys"][1:])
    step("read after unsealing", lambda: c.secrets.kv.v2.read_secret_version("top", raise_on_deleted_version=True))


def main():
    made = begin()
    c = client_of(made["root_token"])
    step("authenticated", c.is_authenticated)
    for part in (audit, mounts, kv1, kv2, policies, tokens, kubernetes, identity, approle, not_here):
        part(c)
    end(c, made)


main()
