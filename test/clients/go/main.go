// Calls a new server through github.com/hashicorp/vault/api and says on stdout, one JSON object a line, what each call
// gave. `client ADDRESS FOLDER`: the folder is the server's audit_directory.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	vault "github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
)

type object = map[string]any

var (
	ctx = context.Background()
	out = json.NewEncoder(os.Stdout)
)

// Counts what goes over the wire: the SDK tries again by itself.
type counting struct {
	http.RoundTripper
	requests *atomic.Int64
}

func (it counting) RoundTrip(request *http.Request) (*http.Response, error) {
	it.requests.Add(1)
	return it.RoundTripper.RoundTrip(request)
}

var requests atomic.Int64

type report struct {
	Step   string `json:"step"`
	Ok     bool   `json:"ok"`
	Detail any    `json:"detail"`
}

// Runs one call and reports it.
func step[T any](name string, call func() (T, error)) T {
	value, err := call()
	if err == nil {
		say(report{name, true, shown(value)})
		return value
	}
	detail := object{"class": "error", "text": err.Error()}
	var answered *vault.ResponseError
	switch {
	case errors.As(err, &answered):
		detail["class"], detail["status"], detail["errors"] = "ResponseError", answered.StatusCode, answered.Errors
	case errors.Is(err, vault.ErrSecretNotFound):
		detail["class"] = "ErrSecretNotFound"
	}
	say(report{name, false, detail})
	return value
}

// The same for a call that gives nothing.
func do(name string, call func() error) {
	step(name, func() (any, error) { return nil, call() })
}

func say(one report) {
	if err := out.Encode(one); err != nil {
		panic(err)
	}
}

// What is interesting of the SDK's own types.
func shown(value any) any {
	switch it := value.(type) {
	case *vault.KVSecret:
		if it == nil {
			return nil
		}
		return object{
			"data": it.Data, "version": it.VersionMetadata.Version, "destroyed": it.VersionMetadata.Destroyed,
			"deleted": !it.VersionMetadata.DeletionTime.IsZero(), "created": !it.VersionMetadata.CreatedTime.IsZero(),
			"custom": it.CustomMetadata,
		}
	case *vault.KVMetadata:
		versions := []string{}
		for version := range it.Versions {
			versions = append(versions, version)
		}
		slices.Sort(versions)
		return object{
			"casRequired": it.CASRequired, "current": it.CurrentVersion, "custom": it.CustomMetadata, "max": it.MaxVersions,
			"oldest": it.OldestVersion, "deleteAfter": it.DeleteVersionAfter.String(), "versions": versions,
		}
	default:
		return value
	}
}

// A client of its own: connections, token, and how often it tries again.
func clientOf(address, token string) *vault.Client {
	config := vault.DefaultConfig()
	config.Address = address
	config.MinRetryWait, config.MaxRetryWait = time.Millisecond, time.Millisecond
	config.HttpClient.Transport = counting{config.HttpClient.Transport, &requests}
	client, err := vault.NewClient(config)
	if err != nil {
		panic(err)
	}
	client.SetToken(token)
	return client
}

func begin(c *vault.Client) *vault.InitResponse {
	sys := c.Sys()
	step("init status before", sys.InitStatus)
	step("health before init", sys.Health)
	step("secret before init", func() (*vault.Secret, error) { return c.Logical().Read("secret/data/a") })
	made := step("init", func() (*vault.InitResponse, error) {
		return sys.Init(&vault.InitRequest{SecretShares: 3, SecretThreshold: 2})
	})
	do("init again", func() error {
		_, err := sys.Init(&vault.InitRequest{SecretShares: 1, SecretThreshold: 1})
		return err
	})
	step("health while sealed", sys.Health)
	step("unseal first share", func() (*vault.SealStatusResponse, error) { return sys.Unseal(made.KeysB64[0]) })
	step("unseal reset", sys.ResetUnsealProcess)
	step("unseal with options", func() (*vault.SealStatusResponse, error) {
		return sys.UnsealWithOptions(&vault.UnsealOpts{Key: made.Keys[0]})
	})
	step("unseal second share", func() (*vault.SealStatusResponse, error) { return sys.Unseal(made.Keys[1]) })
	step("seal status", sys.SealStatus)
	step("health", sys.Health)
	step("leader", sys.Leader)
	return made
}

func audit(c *vault.Client, folder string) {
	sys := c.Sys()
	do("audit enable", func() error {
		options := map[string]string{"file_path": filepath.Join(folder, "go.log")}
		return sys.EnableAuditWithOptions("file", &vault.EnableAuditOptions{Type: "file", Options: options})
	})
	step("audit list", sys.ListAudit)
	step("audit hash", func() (string, error) { return sys.AuditHash("file", "a value") })
	do("audit file outside of the folder", func() error {
		options := map[string]string{"file_path": "/elsewhere/audit.log"}
		return sys.EnableAuditWithOptions("b", &vault.EnableAuditOptions{Type: "file", Options: options})
	})
	do("audit disable", func() error { return sys.DisableAudit("file") })
	step("audit list after", sys.ListAudit)
}

func mounts(c *vault.Client) {
	sys := c.Sys()
	v2 := map[string]string{"version": "2"}
	do("mount kv v2", func() error { return sys.Mount("secret", &vault.MountInput{Type: "kv", Options: v2}) })
	do("mount with settings", func() error {
		config := vault.MountConfigInput{DefaultLeaseTTL: "1h", MaxLeaseTTL: "2h"}
		return sys.Mount("more", &vault.MountInput{Type: "kv-v2", Description: "old", Config: config})
	})
	do("mount where one is", func() error { return sys.Mount("more", &vault.MountInput{Type: "kv", Options: v2}) })
	do("mount kv v1", func() error { return sys.Mount("one", &vault.MountInput{Type: "kv"}) })
	do("mount unknown type", func() error { return sys.Mount("x", &vault.MountInput{Type: "nothing"}) })
	step("mounts list", sys.ListMounts)
	step("mount get", func() (*vault.MountOutput, error) { return sys.GetMount("more") })
	do("mount tune", func() error {
		description := "new"
		return sys.TuneMount("more", vault.MountConfigInput{DefaultLeaseTTL: "30m", Description: &description})
	})
	do("mount tune without what is nil", func() error {
		max := "3h"
		return sys.TuneMountAllowNil("more", vault.TuneMountConfigInput{MaxLeaseTTL: &max})
	})
	step("mount tuning read", func() (*vault.MountConfigOutput, error) { return sys.MountConfig("more") })
	step("which mount a path is in", func() (*vault.Secret, error) {
		return c.Logical().Read("sys/internal/ui/mounts/secret/app/db")
	})
	step("which mounts there are to use", func() (*vault.Secret, error) { return c.Logical().Read("sys/internal/ui/mounts") })
	step("an answer without an envelope", func() (*vault.Secret, error) { return c.Logical().Read("sys/seal-status") })
	do("mount move", func() error { return sys.Remount("more", "other") })
	do("mount disable", func() error { return sys.Unmount("other") })
	step("mount get after", func() (*vault.MountOutput, error) { return sys.GetMount("more") })
}

func kv1(c *vault.Client) {
	kv := c.KVv1("one")
	get := func() (*vault.KVSecret, error) { return kv.Get(ctx, "app/db") }
	step("kv v1 get nothing", get)
	do("kv v1 put", func() error { return kv.Put(ctx, "app/db", object{"user": "app"}) })
	step("kv v1 get", func() (object, error) {
		secret, err := get()
		if err != nil {
			return nil, err
		}
		return object{"data": secret.Data, "seconds": secret.Raw.LeaseDuration, "lease": secret.Raw.LeaseID}, nil
	})
	step("kv v1 list", func() (*vault.Secret, error) { return c.Logical().List("one/app") })
	do("kv v1 delete", func() error { return kv.Delete(ctx, "app/db") })
	step("kv v1 get after", get)
}

func kv(c *vault.Client) {
	kv := c.KVv2("secret")
	put := func(path string, data object, options ...vault.KVOption) func() (*vault.KVSecret, error) {
		return func() (*vault.KVSecret, error) { return kv.Put(ctx, path, data, options...) }
	}
	get := func() (*vault.KVSecret, error) { return kv.Get(ctx, "app/db") }
	patch := func(path string, data object, options ...vault.KVOption) func() (*vault.KVSecret, error) {
		return func() (*vault.KVSecret, error) { return kv.Patch(ctx, path, data, options...) }
	}
	list := func(path string) func() (*vault.Secret, error) {
		return func() (*vault.Secret, error) { return c.Logical().List(path) }
	}
	step("kv v2 list of nothing", list("secret/metadata"))
	step("kv v2 get nothing", get)
	step("kv v2 put", put("app/db", object{"user": "app", "n": json.Number("12345678901234567890"), "deep": object{"a": []any{1, nil}}}))
	step("kv v2 get", get)
	step("kv v2 put with cas mismatch", put("app/db", object{"a": 1}, vault.WithCheckAndSet(0)))
	step("kv v2 put with cas", put("app/db", object{"user": "two"}, vault.WithCheckAndSet(1)))
	step("kv v2 get version", func() (*vault.KVSecret, error) { return kv.GetVersion(ctx, "app/db", 1) })
	step("kv v2 get version that isn't there", func() (*vault.KVSecret, error) { return kv.GetVersion(ctx, "app/db", 9) })
	step("kv v2 patch", patch("app/db", object{"more": "3"}))
	step("kv v2 patch with cas mismatch", patch("app/db", object{"more": "3"}, vault.WithCheckAndSet(1)))
	step("kv v2 patch of nothing", patch("nothing", object{"a": "b"}))
	step("kv v2 patch by reading and writing", patch("app/db", object{"again": "4"}, vault.WithMergeMethod("rw")))
	step("kv v2 get after patch", get)
	patchesNothing := only(c, `path "secret/data/*" { capabilities = ["create", "read", "update"] }`)
	step("kv v2 patch without the capability", func() (*vault.KVSecret, error) {
		return patchesNothing.KVv2("secret").Patch(ctx, "app/db", object{"fallback": "5"})
	})
	step("kv v2 rollback", func() (*vault.KVSecret, error) { return kv.Rollback(ctx, "app/db", 2) })
	step("kv v2 get after rollback", get)
	do("kv v2 delete latest", func() error { return kv.Delete(ctx, "app/db") })
	step("kv v2 get deleted", get)
	do("kv v2 undelete", func() error { return kv.Undelete(ctx, "app/db", []int{5}) })
	do("kv v2 delete versions", func() error { return kv.DeleteVersions(ctx, "app/db", []int{1, 2}) })
	do("kv v2 destroy", func() error { return kv.Destroy(ctx, "app/db", []int{1}) })
	step("kv v2 versions", func() ([]vault.KVVersionMetadata, error) { return kv.GetVersionsAsList(ctx, "app/db") })
	do("kv v2 metadata put", func() error {
		custom := object{"owner": "team a"}
		input := vault.KVMetadataPutInput{CASRequired: true, CustomMetadata: custom, DeleteVersionAfter: time.Hour, MaxVersions: 7}
		return kv.PutMetadata(ctx, "app/db", input)
	})
	do("kv v2 metadata patch", func() error {
		max := 8
		return kv.PatchMetadata(ctx, "app/db", vault.KVMetadataPatchInput{MaxVersions: &max, CustomMetadata: object{"more": "x"}})
	})
	step("kv v2 metadata get", func() (*vault.KVMetadata, error) { return kv.GetMetadata(ctx, "app/db") })
	step("kv v2 get with its metadata", get)
	step("kv v2 put without the cas required", put("app/db", object{"a": 1}))
	step("kv v2 put another", put("top", object{"a": "b"}))
	step("kv v2 list", list("secret/metadata/app"))
	step("kv v2 list at the top", list("secret/metadata/"))
	do("kv v2 metadata delete", func() error { return kv.DeleteMetadata(ctx, "app/db") })
	step("kv v2 get after metadata delete", get)
	step("kv v2 path with blanks and umlauts", put("a b/ü", object{"a": "ö"}))
	step("kv v2 get with blanks and umlauts", func() (*vault.KVSecret, error) { return kv.Get(ctx, "a b/ü") })
	step("kv v2 configure", func() (*vault.Secret, error) {
		return c.Logical().Write("secret/config", object{"max_versions": 5, "delete_version_after": "2h"})
	})
	step("kv v2 configuration", func() (*vault.Secret, error) { return c.Logical().Read("secret/config") })
	step("warnings of fields that aren't known", func() ([]string, error) {
		secret, err := c.Logical().Write("secret/data/warned", object{"data": object{}, "unknown": 1})
		if err != nil {
			return nil, err
		}
		return secret.Warnings, nil
	})
}

// A client whose token has one policy.
func only(c *vault.Client, rules string) *vault.Client {
	if err := c.Sys().PutPolicy("only", rules); err != nil {
		panic(err)
	}
	made, err := c.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"only"}})
	if err != nil {
		panic(err)
	}
	return clientOf(c.Address(), made.Auth.ClientToken)
}

func policies(c *vault.Client) {
	sys := c.Sys()
	do("policy put", func() error { return sys.PutPolicy("Reader", `path "secret/data/app/*" { capabilities = ["read"] }`) })
	step("policy get", func() (string, error) { return sys.GetPolicy("reader") })
	step("policy list", sys.ListPolicies)
	do("policy that doesn't parse", func() error { return sys.PutPolicy("bad", `path "a" { capabilities = ["x"] }`) })
	do("policy delete", func() error { return sys.DeletePolicy("only") })
	step("policy get after", func() (string, error) { return sys.GetPolicy("only") })
}

func tokens(c *vault.Client) {
	t := c.Auth().Token()
	create := func(request vault.TokenCreateRequest) func() (*vault.Secret, error) {
		request.Policies = append(request.Policies, "reader")
		return func() (*vault.Secret, error) { return t.Create(&request) }
	}
	made := step("token create", create(vault.TokenCreateRequest{TTL: "1h", Metadata: map[string]string{"for": "test"}}))
	token, accessor := made.Auth.ClientToken, made.Auth.Accessor
	step("token lookup", func() (*vault.Secret, error) { return t.Lookup(token) })
	step("token lookup by accessor", func() (*vault.Secret, error) { return t.LookupAccessor(accessor) })
	step("token accessors", func() (bool, error) {
		listed, err := c.Logical().List("auth/token/accessors")
		return err == nil && slices.Contains(listed.Data["keys"].([]any), any(accessor)), err
	})
	step("token renew", func() (*vault.Secret, error) { return t.Renew(token, 7200) })
	step("token renew by accessor", func() (*vault.Secret, error) { return t.RenewAccessor(accessor, 1800) })
	step("token renew as itself", func() (*vault.Secret, error) { return t.RenewTokenAsSelf(token, 1200) })
	d := clientOf(c.Address(), token)
	step("token lookup self", d.Auth().Token().LookupSelf)
	step("token type and policies as the SDK reads them", func() (object, error) {
		secret, err := d.Auth().Token().LookupSelf()
		if err != nil {
			return nil, err
		}
		policies, err := secret.TokenPolicies()
		ttl, _ := secret.TokenTTL()
		renewable, _ := secret.TokenIsRenewable()
		id, _ := secret.TokenID()
		return object{"policies": policies, "ttl": ttl > 19*time.Minute, "renewable": renewable, "id": id == token}, err
	})
	step("token renew self", func() (*vault.Secret, error) { return d.Auth().Token().RenewSelf(1200) })
	step("refused by policy", func() (*vault.KVSecret, error) { return d.KVv2("secret").Get(ctx, "top") })
	step("refused write", func() (*vault.KVSecret, error) { return d.KVv2("secret").Put(ctx, "app/x", object{"a": "c"}) })
	step("refused list", func() (*vault.Secret, error) { return d.Logical().List("secret/metadata") })
	step("capabilities of self", func() ([]string, error) { return d.Sys().CapabilitiesSelf("secret/data/app/x") })
	step("capabilities by accessor", func() ([]string, error) { return c.Sys().CapabilitiesAccessor(accessor, "secret/data/top") })
	step("capabilities of a token", func() ([]string, error) { return c.Sys().Capabilities(token, "secret/data/app/x") })
	do("token revoke self", func() error { return d.Auth().Token().RevokeSelf("") })
	step("token revoked", d.Auth().Token().LookupSelf)
	periodic := step("token periodic", create(vault.TokenCreateRequest{Period: "10m"}))
	step("token periodic renewed", func() (*vault.Secret, error) { return t.Renew(periodic.Auth.ClientToken, 18000) })
	most := step("token with explicit maximum", create(vault.TokenCreateRequest{TTL: "1h", ExplicitMaxTTL: "90m"}))
	step("token renewed up to its maximum", func() (*vault.Secret, error) { return t.Renew(most.Auth.ClientToken, 18000) })
	orphan := step("token orphan", func() (*vault.Secret, error) {
		return t.CreateOrphan(&vault.TokenCreateRequest{Policies: []string{"reader"}, TTL: "1h"})
	})
	step("token orphan lookup", func() (*vault.Secret, error) { return t.Lookup(orphan.Auth.ClientToken) })
	do("token revoke by accessor", func() error { return t.RevokeAccessor(orphan.Auth.Accessor) })
	step("token lookup by a revoked accessor", func() (*vault.Secret, error) { return t.LookupAccessor(orphan.Auth.Accessor) })
	uses := step("token of two uses", create(vault.TokenCreateRequest{NumUses: 2}))
	e := clientOf(c.Address(), uses.Auth.ClientToken)
	step("token of two uses: first", e.Auth().Token().LookupSelf)
	step("token of two uses: second", e.Auth().Token().LookupSelf)
	step("token of two uses: third", e.Auth().Token().LookupSelf)
	step("token of an unknown role", func() (*vault.Secret, error) { return t.CreateWithRole(&vault.TokenCreateRequest{}, "role") })
	step("token role write", func() (*vault.Secret, error) {
		return c.Logical().Write("auth/token/roles/ci", object{"allowed_policies": "reader", "orphan": true, "token_period": "10m", "path_suffix": "build"})
	})
	step("token role read", func() (*vault.Secret, error) { return c.Logical().Read("auth/token/roles/ci") })
	step("token role list", func() (*vault.Secret, error) { return c.Logical().List("auth/token/roles") })
	byRole := step("token of a role", func() (*vault.Secret, error) { return t.CreateWithRole(&vault.TokenCreateRequest{}, "ci") })
	step("token of a role lookup", func() (*vault.Secret, error) { return t.Lookup(byRole.Auth.ClientToken) })
	step("token of a role beside its policies", func() (*vault.Secret, error) {
		return t.CreateWithRole(&vault.TokenCreateRequest{Policies: []string{"other"}}, "ci")
	})
	step("token of a role as batch", func() (*vault.Secret, error) {
		return t.CreateWithRole(&vault.TokenCreateRequest{Type: "batch"}, "ci")
	})
	step("token role delete", func() (*vault.Secret, error) { return c.Logical().Delete("auth/token/roles/ci") })
	step("token of a deleted role renewed", func() (*vault.Secret, error) {
		once := clientOf(c.Address(), c.Token())
		once.SetMaxRetries(0)
		return once.Auth().Token().Renew(byRole.Auth.ClientToken, 60)
	})
	batch := step("token batch", create(vault.TokenCreateRequest{Type: "batch", TTL: "1h"}))
	b := clientOf(c.Address(), batch.Auth.ClientToken)
	step("token batch lookup self", b.Auth().Token().LookupSelf)
	step("token batch renewable as the SDK reads it", batch.TokenIsRenewable)
	step("token batch renew self", func() (*vault.Secret, error) { return b.Auth().Token().RenewSelf(60) })
	step("token batch create", func() (*vault.Secret, error) { return b.Auth().Token().Create(&vault.TokenCreateRequest{}) })
	do("token batch revoke self", func() error { return b.Auth().Token().RevokeSelf("") })
	do("token batch revoke", func() error { return t.RevokeTree(batch.Auth.ClientToken) })
	step("token batch reads what is not there", func() (*vault.KVSecret, error) { return b.KVv2("secret").Get(ctx, "app/x") })
	step("token batch reads what it may not", func() (*vault.KVSecret, error) { return b.KVv2("secret").Get(ctx, "top") })
	step("token batch capabilities", func() ([]string, error) { return c.Sys().Capabilities(batch.Auth.ClientToken, "secret/data/app/x") })
	step("token batch with a period", create(vault.TokenCreateRequest{Type: "batch", Period: "1h"}))
	step("token tidy", func() (*vault.Secret, error) { return c.Logical().Write("auth/token/tidy", nil) })
	step("token counter", func() (*vault.Secret, error) { return c.Logical().Read("sys/internal/counters/tokens") })
	family := step("token of a family", func() (*vault.Secret, error) { return t.Create(&vault.TokenCreateRequest{}) })
	parent := clientOf(c.Address(), family.Auth.ClientToken)
	child := step("token of a child", func() (*vault.Secret, error) { return parent.Auth().Token().Create(&vault.TokenCreateRequest{}) })
	do("token revoke orphan", func() error { return t.RevokeOrphan(family.Auth.ClientToken) })
	step("token child outlives it", func() (*vault.Secret, error) { return t.Lookup(child.Auth.ClientToken) })
	do("token revoke tree", func() error { return t.RevokeTree(child.Auth.ClientToken) })
	step("token child is gone", func() (*vault.Secret, error) { return t.Lookup(child.Auth.ClientToken) })
	nobody := clientOf(c.Address(), "hvs.nobody")
	step("token unknown", nobody.Auth().Token().LookupSelf)
	nobody.ClearToken()
	step("token missing", func() (*vault.Secret, error) { return nobody.Logical().Read("secret/data/top") })
	wrapping := clientOf(c.Address(), c.Token())
	wrapping.SetWrappingLookupFunc(func(_, _ string) string { return "60s" })
	wrapped := step("token wrapped", func() (*vault.Secret, error) {
		return wrapping.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"reader"}})
	})
	step("token unwrapped", func() (*vault.Secret, error) { return c.Logical().Unwrap(wrapped.WrapInfo.Token) })
	step("token unwrapped again", func() (*vault.Secret, error) { return c.Logical().Unwrap(wrapped.WrapInfo.Token) })
	step("secret wrapped", func() (*vault.Secret, error) { return wrapping.Logical().Read("secret/data/top") })
	words := step("words wrapped", func() (*vault.Secret, error) {
		return c.Logical().Write("sys/wrapping/wrap", map[string]any{"a": "b"})
	})
	own := clientOf(c.Address(), words.WrapInfo.Token)
	step("wrapping token looked up", func() (*vault.Secret, error) {
		return own.Logical().Write("sys/wrapping/lookup", map[string]any{"token": words.WrapInfo.Token})
	})
	step("words unwrapped by the own token", func() (*vault.Secret, error) { return own.Logical().Unwrap("") })
}

func kubernetes(c *vault.Client) {
	sys, at := c.Sys(), c.Logical()
	write := func(path string, data object) func() (*vault.Secret, error) {
		return func() (*vault.Secret, error) { return at.Write(path, data) }
	}
	read := func(path string) func() (*vault.Secret, error) {
		return func() (*vault.Secret, error) { return at.Read(path) }
	}
	list := func() (*vault.Secret, error) { return at.List("auth/kubernetes/role") }
	do("auth enable", func() error {
		return sys.EnableAuthWithOptions("kubernetes", &vault.EnableAuthOptions{Type: "kubernetes", Description: "pods"})
	})
	step("auth list", sys.ListAuth)
	step("auth get", func() (*vault.AuthMount, error) { return sys.GetAuth("kubernetes") })
	do("auth tune", func() error {
		return sys.TuneMount("auth/kubernetes", vault.MountConfigInput{DefaultLeaseTTL: "10m", MaxLeaseTTL: "20m"})
	})
	step("auth tuning read", func() (*vault.MountConfigOutput, error) { return sys.MountConfig("auth/kubernetes") })
	step("kubernetes configuration before", read("auth/kubernetes/config"))
	step("kubernetes configure", write("auth/kubernetes/config", object{"kubernetes_host": "https://127.0.0.1:1"}))
	step("kubernetes configuration", read("auth/kubernetes/config"))
	step("kubernetes list of no roles", list)
	step("kubernetes role put", write("auth/kubernetes/role/app", object{
		"bound_service_account_names": []string{"app"}, "bound_service_account_namespaces": "default,prod",
		"token_policies": []string{"reader"}, "token_ttl": "15m", "audience": "vault",
	}))
	step("kubernetes role without accounts", write("auth/kubernetes/role/bad", object{"bound_service_account_namespaces": "a"}))
	step("kubernetes role get", read("auth/kubernetes/role/app"))
	step("kubernetes role list", list)
	step("kubernetes login with a bad JWT", write("auth/kubernetes/login", object{"role": "app", "jwt": "no jwt"}))
	step("kubernetes login with an unknown role", write("auth/kubernetes/login", object{"role": "nobody", "jwt": "a.b.c"}))
	step("kubernetes role delete", func() (*vault.Secret, error) { return at.Delete("auth/kubernetes/role/app") })
	step("kubernetes role get after", read("auth/kubernetes/role/app"))
	do("auth disable", func() error { return sys.DisableAuth("kubernetes") })
}

func approleMethod(c *vault.Client) {
	at := c.Logical()
	must := func(path string, body object) *vault.Secret {
		answer, err := at.Write(path, body)
		if err != nil {
			panic(err)
		}
		return answer
	}
	if err := c.Sys().EnableAuthWithOptions("approle", &vault.EnableAuthOptions{Type: "approle"}); err != nil {
		panic(err)
	}
	must("auth/approle/role/app", object{"token_policies": "reader", "token_ttl": "15m", "secret_id_num_uses": 1})
	read, err := at.Read("auth/approle/role/app/role-id")
	if err != nil {
		panic(err)
	}
	roleID := read.Data["role_id"].(string)
	logIn := func(secretID string) func() (*vault.Secret, error) {
		return func() (*vault.Secret, error) {
			method, err := approle.NewAppRoleAuth(roleID, &approle.SecretID{FromString: secretID})
			if err != nil {
				return nil, err
			}
			return clientOf(c.Address(), "").Auth().Login(ctx, method)
		}
	}
	made := must("auth/approle/role/app/secret-id", object{"metadata": `{"team":"a"}`})
	secretID := made.Data["secret_id"].(string)
	step("approle login", logIn(secretID))
	step("approle login with a secret id that is used up", logIn(secretID))
	accessor := object{"secret_id_accessor": made.Data["secret_id_accessor"]}
	step("approle accessor that is gone", func() (*vault.Secret, error) {
		return at.Write("auth/approle/role/app/secret-id-accessor/lookup", accessor)
	})
	step("approle tidy", func() (*vault.Secret, error) { return at.Write("auth/approle/tidy/secret-id", nil) })
	tuning := vault.MountConfigInput{UserLockoutConfig: &vault.UserLockoutConfigInput{
		LockoutThreshold: "1", LockoutDuration: "10m", LockoutCounterResetDuration: "5m",
	}}
	do("lockout tune", func() error { return c.Sys().TuneMount("auth/approle", tuning) })
	// The SDK's own type for it has no name for the member and is left empty.
	step("lockout tuning read", func() (*vault.Secret, error) { return at.Read("sys/auth/approle/tune") })
	do("approle disable", func() error { return c.Sys().DisableAuth("approle") })
}

// What a watcher said of a token that lives for five seconds, until it has been renewed twice.
func watch(c *vault.Client) func() (object, error) {
	made, err := c.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"reader"}, TTL: "5s"})
	if err != nil {
		panic(err)
	}
	d := clientOf(c.Address(), made.Auth.ClientToken)
	watcher, err := d.NewLifetimeWatcher(&vault.LifetimeWatcherInput{
		Secret: made, RenewBehavior: vault.RenewBehaviorErrorOnErrors,
	})
	if err != nil {
		panic(err)
	}
	renewed := make(chan object, 1)
	go watcher.Start()
	go func() {
		seconds := []int{}
		for range 2 {
			select {
			case one := <-watcher.RenewCh():
				seconds = append(seconds, one.Secret.Auth.LeaseDuration)
			case err := <-watcher.DoneCh():
				renewed <- object{"ended": fmt.Sprint(err), "seconds": seconds}
				return
			case <-time.After(20 * time.Second):
			}
		}
		watcher.Stop()
		renewed <- object{"seconds": seconds}
	}()
	return func() (object, error) { return <-renewed, nil }
}

func notHere(c *vault.Client) {
	step("path without a mount", func() (*vault.Secret, error) { return c.Logical().Read("nothing/here") })
	step("path that sys has not", func() (*vault.Secret, error) { return c.Logical().List("sys/namespaces") })
	step("lease renew", func() (*vault.Secret, error) { return c.Sys().Renew("secret/nothing", 60) })
	step("unwrap", func() (*vault.Secret, error) { return c.Logical().Unwrap("hvs.wrapping") })
	step("help", func() (bool, error) {
		help, err := c.Help("secret/data/a")
		return err == nil && help.Help != "", err
	})
}

func end(c *vault.Client, made *vault.InitResponse) {
	sys := c.Sys()
	do("seal", sys.Seal)
	step("sealed read", func() (*vault.KVSecret, error) { return c.KVv2("secret").Get(ctx, "top") })
	before := requests.Load()
	step("how often a sealed server was asked", func() (int64, error) {
		_, err := c.Logical().Read("secret/data/top")
		if err == nil {
			return 0, errors.New("it answered")
		}
		return requests.Load() - before, nil
	})
	step("sealed health", sys.Health)
	step("sealed status", sys.SealStatus)
	for _, key := range made.Keys[1:] {
		if _, err := sys.Unseal(key); err != nil {
			panic(err)
		}
	}
	step("read after unsealing", func() (*vault.KVSecret, error) { return c.KVv2("secret").Get(ctx, "top") })
}

// Database credentials and their leases, against the server and the database of the environment.
func credentials() {
	c, err := vault.NewClient(vault.DefaultConfig())
	if err != nil {
		panic(err)
	}
	sys, logical := c.Sys(), c.Logical()
	write := func(name, path string, data object) *vault.Secret {
		return step(name, func() (*vault.Secret, error) { return logical.Write(path, data) })
	}
	step("enable", func() (any, error) { return nil, sys.Mount("database", &vault.MountInput{Type: "database"}) })
	write("configure", "database/config/app", object{
		"plugin_name": "postgresql-database-plugin", "allowed_roles": "app",
		"connection_url": os.Getenv("DB_URL"), "username": os.Getenv("DB_USER"), "password": os.Getenv("DB_PASSWORD"),
	})
	create := `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`
	write("role", "database/roles/app", object{
		"db_name": "app", "creation_statements": create, "default_ttl": "4s", "max_ttl": "1h",
	})
	made := step("credentials", func() (*vault.Secret, error) { return logical.Read("database/creds/app") })
	watcher, err := c.NewLifetimeWatcher(&vault.LifetimeWatcherInput{Secret: made})
	if err != nil {
		panic(err)
	}
	go watcher.Start()
	step("watched", func() (*vault.Secret, error) {
		select {
		case renewed := <-watcher.RenewCh():
			return renewed.Secret, nil
		case err := <-watcher.DoneCh():
			return nil, err
		}
	})
	watcher.Stop()
	step("lookup", func() (*vault.Secret, error) { return sys.Lookup(made.LeaseID) })
	step("renew", func() (*vault.Secret, error) { return sys.Renew(made.LeaseID, 1800) })
	step("leases", func() (*vault.Secret, error) { return logical.List("sys/leases/lookup/database/creds/app/") })
	step("revoke", func() (any, error) { return nil, sys.Revoke(made.LeaseID) })
	step("credentials again", func() (*vault.Secret, error) { return logical.Read("database/creds/app") })
	step("revoke prefix", func() (any, error) {
		return nil, sys.RevokeWithOptions(&vault.RevokeOptions{LeaseID: "database/creds/app", Prefix: true, Sync: true})
	})
	step("revoke force", func() (any, error) { return nil, sys.RevokeForce("database/creds/app") })
}

// With `credentials` alone it walks those instead.
func main() {
	if os.Args[1] == "credentials" {
		credentials()
		return
	}
	address, folder := os.Args[1], os.Args[2]
	c := clientOf(address, "")
	made := begin(c)
	c.SetToken(made.RootToken)
	audit(c, folder)
	mounts(c)
	watched := watch(c)
	kv1(c)
	kv(c)
	policies(c)
	tokens(c)
	kubernetes(c)
	approleMethod(c)
	notHere(c)
	step("watcher", watched)
	end(c, made)
}
