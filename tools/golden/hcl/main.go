// Records how hashicorp/hcl version 1 reads the corpus: one JSON object a case, compared by src/ground/hcl/golden.test.ts.
//
// Run from this folder: go run . > ../../../src/ground/hcl/golden/hcl.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/hcl/ast"
	hclparser "github.com/hashicorp/hcl/hcl/parser"
	"github.com/hashicorp/hcl/hcl/token"
	jsonparser "github.com/hashicorp/hcl/json/parser"
)

type golden struct {
	Name  string `json:"name"`
	Input string `json:"input"`
	Error string `json:"error,omitempty"`
	Tree  any    `json:"tree,omitempty"`
}

func node(n ast.Node) any {
	switch v := n.(type) {
	case *ast.ObjectType:
		return map[string]any{"object": items(v.List)}
	case *ast.ListType:
		out := []any{}
		for _, e := range v.List {
			out = append(out, node(e))
		}
		return map[string]any{"list": out}
	case *ast.LiteralType:
		switch v.Token.Type {
		case token.STRING, token.HEREDOC:
			return map[string]any{"string": v.Token.Value()}
		case token.NUMBER:
			return map[string]any{"int": fmt.Sprint(v.Token.Value())}
		case token.FLOAT:
			return map[string]any{"float": v.Token.Value()}
		case token.BOOL:
			return map[string]any{"bool": v.Token.Value()}
		}
	}
	return map[string]any{"unknown": fmt.Sprintf("%T", n)}
}

func items(list *ast.ObjectList) []any {
	out := []any{}
	for _, it := range list.Items {
		keys := []string{}
		for _, k := range it.Keys {
			keys = append(keys, k.Token.Value().(string))
		}
		pos := it.Keys[0].Pos()
		out = append(out, map[string]any{"keys": keys, "assigned": it.Assign.IsValid(), "value": node(it.Val),
			"line": pos.Line, "column": pos.Column})
	}
	return out
}

func read(name, input string) (g golden) {
	g = golden{Name: name, Input: input}
	defer func() {
		if r := recover(); r != nil {
			g.Error, g.Tree = fmt.Sprint(r), nil
		}
	}()
	var file *ast.File
	var err error
	if strings.HasPrefix(strings.TrimSpace(input), "{") {
		file, err = jsonparser.Parse([]byte(input))
	} else {
		file, err = hclparser.ParseDontErrorOnDuplicateKeys([]byte(input))
	}
	if err != nil {
		g.Error = err.Error()
		return g
	}
	g.Tree = items(file.Node.(*ast.ObjectList))
	return g
}

func main() {
	files, _ := filepath.Glob("corpus/*")
	sort.Strings(files)
	var all []golden
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			panic(err)
		}
		if !strings.HasSuffix(f, ".tsv") {
			all = append(all, read(filepath.Base(f), string(data)))
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			name, text, _ := strings.Cut(line, "\t")
			text = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, `\\`, "\x00"), `\n`, "\n"), "\x00", `\`)
			all = append(all, read(name, text))
		}
	}
	out, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out))
}
