module textgen

go 1.26

require (
	github.com/hashicorp/go-secure-stdlib/parseutil v0.2.0
	github.com/hashicorp/go-secure-stdlib/strutil v0.1.2
	github.com/hashicorp/go-sockaddr v1.0.7
	github.com/kr/text v0.2.0
	github.com/ryanuber/go-glob v1.0.0
)

require github.com/mitchellh/mapstructure v1.5.0 // indirect
