// Records what the real Go libraries make of the templates in cases/: Go's text/template for all, and
// consul-template's functions where a group asks for them. Writes one JSON file a group.
//
//	go run . ../../../src/ground/template/golden && biome format --write ../../../src/ground/template/golden
//
// A case file holds a template a line ("⏎" stands for a line feed, "⇥" for a tab) and directives, which hold until the
// next of their kind:
//
//	@data JSON            the dot; {"$int": "5"} and other tags give Go types, see decode
//	@missing zero         default, zero or error
//	@delims << >>         delimiters; "@delims" alone resets them
//	@functions consul     consul-template's functions (the dot is then the variable of function "data")
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	ct "github.com/hashicorp/consul-template/template"

	"github.com/hashicorp/consul-template/dependency"
)

type result struct {
	Template   string `json:"template"`
	Dot        *int   `json:"dot,omitempty"`
	data       json.RawMessage
	MissingKey string   `json:"missingKey,omitempty"`
	Delims     []string `json:"delims,omitempty"`
	Functions  string   `json:"functions,omitempty"`
	Output     *string  `json:"output,omitempty"`
	Base64     bool     `json:"base64,omitempty"`
	Error      string   `json:"error,omitempty"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	target := os.Args[1]
	files, err := filepath.Glob("cases/*.txt")
	check(err)
	sort.Strings(files)
	total := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		dots, results := run(string(text))
		total += len(results)
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		check(enc.Encode(map[string]any{"dots": dots, "cases": results}))
		name := strings.TrimSuffix(filepath.Base(file), ".txt") + ".json"
		check(os.WriteFile(filepath.Join(target, name), out.Bytes(), 0o644))
	}
	fmt.Println(total, "cases")
}

func run(text string) (dots []json.RawMessage, results []result) {
	now := result{}
	for _, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case word == "@data":
			now.data = json.RawMessage(rest)
			now.Dot = new(len(dots))
			dots = append(dots, now.data)
			continue
		case word == "@missing":
			now.MissingKey = rest
			continue
		case word == "@delims":
			now.Delims = strings.Fields(rest)
			continue
		case word == "@functions":
			now.Functions = rest
			continue
		}
		r := now
		r.Template = strings.NewReplacer("⏎", "\n", "⇥", "\t").Replace(line)
		out, err := execute(r)
		if err != nil {
			r.Error = strings.TrimPrefix(strings.TrimPrefix(err.Error(), "execute: "), "parse: ")
		} else {
			s := string(out)
			if strings.ToValidUTF8(s, "") != s {
				r.Base64 = true
				b, _ := json.Marshal(out)
				check(json.Unmarshal(b, &s))
			}
			r.Output = &s
		}
		results = append(results, r)
	}
	return dots, results
}

func execute(r result) (out []byte, err error) {
	var data any
	if r.data != nil {
		dec := json.NewDecoder(bytes.NewReader(r.data))
		dec.UseNumber()
		var raw any
		check(dec.Decode(&raw))
		data = decode(raw)
	}
	if r.Functions == "consul" {
		in := &ct.NewTemplateInput{Contents: r.Template, ErrMissingKey: r.MissingKey == "error"}
		in.ExtFuncMap = map[string]any{"data": func() any { return data }, "layout": functions["layout"]}
		t, err := ct.NewTemplate(in)
		if err != nil {
			return nil, err
		}
		got, err := t.Execute(&ct.ExecuteInput{Brain: ct.NewBrain()})
		if err != nil {
			return nil, err
		}
		return got.Output, nil
	}
	t := template.New("t")
	if r.MissingKey != "" {
		t.Option("missingkey=" + r.MissingKey)
	}
	if len(r.Delims) == 2 {
		t.Delims(r.Delims[0], r.Delims[1])
	}
	t.Funcs(functions)
	t, err = t.Parse(r.Template)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return b.Bytes(), err
}

// The same functions are defined in golden.test.ts.
var functions = template.FuncMap{
	"str":     func(s string) (string, error) { return "<" + s + ">", nil },
	"num":     func(n int) int { return n * 2 },
	"flo":     func(f float64) float64 { return f / 2 },
	"boo":     func(b bool) bool { return !b },
	"any":     func(v any) any { return v },
	"strs":    func(l []string) int { return len(l) },
	"two":     func(a string, b int) string { return fmt.Sprint(a, b) },
	"vari":    func(a string, rest ...int) int { return len(a) + len(rest) },
	"varstr":  func(rest ...string) string { return strings.Join(rest, "+") },
	"fail":    func() (string, error) { return "x", fmt.Errorf("it failed") },
	"layout":  func(s string) string { return time.Date(2026, 3, 5, 14, 7, 9, 80_000_000, time.UTC).Format(s) },
	"nothing": func() any { return nil },
}

// decode gives tagged JSON its Go type.
func decode(raw any) any {
	switch v := raw.(type) {
	case json.Number:
		f, err := v.Float64()
		check(err)
		return f
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = decode(e)
		}
		return out
	case map[string]any:
		if len(v) == 1 {
			for tag, value := range v {
				if strings.HasPrefix(tag, "$") {
					return tagged(tag, value)
				}
			}
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = decode(e)
		}
		return out
	}
	return raw
}

func integer(v any) int64 {
	n, err := strconv.ParseInt(v.(string), 10, 64)
	check(err)
	return n
}

func tagged(tag string, v any) any {
	switch tag {
	case "$int":
		return int(integer(v))
	case "$int64":
		return integer(v)
	case "$uint8":
		return uint8(integer(v))
	case "$uint64":
		return uint64(integer(v))
	case "$json":
		return json.Number(v.(string))
	case "$strings":
		out := []string{}
		for _, e := range v.([]any) {
			out = append(out, e.(string))
		}
		return out
	case "$ints":
		out := []int{}
		for _, e := range v.([]any) {
			out = append(out, int(integer(e)))
		}
		return out
	case "$stringMap":
		out := map[string]string{}
		for k, e := range v.(map[string]any) {
			out[k] = e.(string)
		}
		return out
	case "$intMap":
		out := map[int]string{}
		for k, e := range v.(map[string]any) {
			out[int(integer(k))] = e.(string)
		}
		return out
	case "$anyMap":
		out := map[any]any{}
		for k, e := range v.(map[string]any) {
			out[k] = decode(e)
		}
		return out
	case "$secret":
		if v == nil {
			return (*dependency.Secret)(nil)
		}
		m := decode(v).(map[string]any)
		return &dependency.Secret{
			RequestID: "req", LeaseID: "lease/1", LeaseDuration: 60, Renewable: true, Data: m,
		}
	case "$function":
		return functions[v.(string)]
	}
	panic("unknown tag " + tag)
}
