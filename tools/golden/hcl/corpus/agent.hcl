pid_file = "./pidfile"
exit_after_auth = false
vault { address = "https://vault:8200" retry { num_retries = 5 } }
auto_auth {
  method "kubernetes" {
    mount_path = "auth/kubernetes"
    config = { role = "app" token_path = "/var/run/token" }
  }
  sink "file" { config = { path = "/tmp/a", mode = 0640 } }
  sink {
    type = "file"
    wrap_ttl = "5m"
    config = { path = "/tmp/b" }
  }
}
cache { use_auto_auth_token = "force" }
template {
  contents = <<EOT
{{- with secret "secret/data/app" }}
user="{{ .Data.data.user }}" path=C:\dir \n
{{- end }}
EOT
  destination = "/out/a"
  perms = 0640
  left_delimiter = "[["
}
template {
  contents = <<-EOT
    {{ range $k, $v := .Data }}
      {{ $k }}={{ $v }}
    {{ end }}
    EOT
  destination = "${HOME}/b"
  command = "sh -c 'echo \"%{x}\" ${a "b" c}'"
}
listener "tcp" {
  address = "127.0.0.1:8100"
  tls_disable = true
}
