# read what is mine
path "secret/data/{{identity.entity.id}}/*" {
  capabilities = ["create", "read", "update", "delete", "list",]
}
// a line comment
path "secret/data/+/app" { capabilities = ["read"] }
/* a block
   comment */
path "auth/token/create" {
  capabilities = ["update", "sudo"]
  allowed_parameters = {
    "policies" = ["a", "b"]
    "ttl" = []
    "*" = []
  }
  denied_parameters { "no_parent" = [true, "true"] }
  required_parameters = ["ttl"]
  min_wrapping_ttl = 60
  max_wrapping_ttl = "1h"
}
path "sys/*" { policy = "deny" }
name = "mine"
