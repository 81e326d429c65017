// Records what Go and the libraries that Vault uses make of texts, for src/ground/text/golden.test.ts.
//
// Run from this folder: go run . > ../../../src/ground/text/golden/text.json
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
	"github.com/hashicorp/go-secure-stdlib/strutil"
	"github.com/hashicorp/go-sockaddr"
	"github.com/kr/text"
	glob "github.com/ryanuber/go-glob"
)

type row struct {
	In   string `json:"in"`
	With string `json:"with,omitempty"`
	Out  string `json:"out"`
	Err  string `json:"err,omitempty"`
}

func rows(ins []string, f func(string) (string, error)) []row {
	var out []row
	for _, in := range ins {
		r := row{In: in}
		v, err := f(in)
		if err != nil {
			r.Err = err.Error()
		} else {
			r.Out = v
		}
		out = append(out, r)
	}
	return out
}

func pairs(ins [][2]string, f func(a, b string) string) []row {
	var out []row
	for _, in := range ins {
		out = append(out, row{In: in[0], With: in[1], Out: f(in[0], in[1])})
	}
	return out
}

func flags(argv string) (string, error) {
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	b := fs.Bool("force", false, "")
	s := fs.String("field", "", "")
	var args []string
	if argv != "" {
		args = strings.Split(argv, " ")
	}
	if err := fs.Parse(args); err != nil {
		return "", err
	}
	return fmt.Sprintf("%v|%s|%s", *b, *s, strings.Join(fs.Args(), ",")), nil
}

func main() {
	globs := [][2]string{{"", ""}, {"", "a"}, {"*", ""}, {"*", "abc"}, {"a*", "abc"}, {"*c", "abc"}, {"a*c", "abc"}, {"a*c", "ac"}, {"a*c", "abd"},
		{"*b*", "abc"}, {"*x*", "abc"}, {"a*b*c", "a1b2c"}, {"a*b*c", "acb"}, {"abc", "abc"}, {"abc", "abcd"}, {"**", "x"}, {"a**b", "ab"}, {"*aa", "aaa"},
		{"a*a", "a"}, {"ab*ba", "aba"}, {"ns-*-prod", "ns-a-prod"}, {"ns-*-prod", "ns-prod"}}
	all := map[string][]row{
		"duration": rows([]string{"", "0", "5", "-5", "+5", "007", "1h", "1h30m", "1.5h", "100ms", "1us", "1µs", "1ns", "2d", "-2d", "1.5d", "d", "1h2", "h", "1 h", "1x",
			"1.h", ".5h", ".h", "-1h", "--1h", "1h-1m", "1H", "9223372036s", "9223372037s", "1e3s", "3600s", "0.1s", "0.3s", "1m0.5s", "24h0m0s"},
			func(s string) (string, error) {
				d, err := parseutil.ParseDurationSecond(s)
				return fmt.Sprint(d.Seconds()), err
			}),
		"goDuration": rows([]string{"", "0", "5", "+5s", "-0", "1h30m5.25s", "1d", "1.5µs", "0.5ns", "\"", "1h\n"}, func(s string) (string, error) {
			d, err := time.ParseDuration(s)
			return fmt.Sprint(int64(d)), err
		}),
		"durationString": rows([]string{"0", "1", "999", "1000", "1500", "1000000", "1500000", "1000000000", "1500000000", "60000000000", "90000000000", "3600000000000",
			"10800000000000", "2764800000000000", "3661000000001", "-1500000000", "-1"}, func(s string) (string, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			return time.Duration(n).String(), err
		}),
		"base64": rows([]string{"", "YQ==", "YWI=", "YWJj", "YQ=", "YQ", "Y", "YQ==x", "YQ==\n", "Y\nQ=\r\n=", "YQ=a", "!", "YW!j", "=", "Y===", "YWJj\nYWJj", "YQ== ", "-_-_", "YR==", "YWJjé"},
			func(s string) (string, error) {
				b, err := base64.StdEncoding.DecodeString(s)
				return fmt.Sprintf("%x", b), err
			}),
		"time": rows([]string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05,5Z", "2026-01-02T3:04:05Z",
			"2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05-07:30", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+25:00", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z",
			"2026-01-02t03:04:05Z", "2026-01-02T03:04:05z", "2026-01-02 03:04:05Z", "2026-01-02T03:04:60Z", "2026-01-02T24:00:00Z", "2026-13-02T00:00:00Z", "2026-01-32T00:00:00Z",
			"2026-00-02T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "1969-12-31T23:59:59.5Z",
			"2026-1-02T03:04:05Z", "2026-01-02T03:4:05Z", "x2026-01-02T03:04:05Z", "2026-01-02T03:04:05ZZ", "2000-02-29T12:00:00Z", "1900-02-29T12:00:00Z"},
			func(s string) (string, error) {
				t, err := time.Parse(time.RFC3339, s)
				if err != nil {
					return "", fmt.Errorf("no time")
				}
				return fmt.Sprint(t.UnixMilli()), nil
			}),
		"timeString": rows([]string{"0", "1", "500", "1000", "1767225600500", "1767225600123", "951782400000", "-1", "253402300799999", "-62167219200000"}, func(s string) (string, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			return time.UnixMilli(n).UTC().Format(time.RFC3339Nano), err
		}),
		"quote": rows([]string{"", "a", "\"", "\\", "\n\t\r\a\b\f\v", "\x00\x1f\x7f", "é日🎉", "\u00a0\u2028\u200b\ufeff", "\U000e0001", "it's"}, func(s string) (string, error) { return strconv.Quote(s), nil }),
		"int": rows([]string{"0", "5", "-5", "+5", "0x1F", "017", "0o17", "0b101", "1_000", "08", "", "x", "1.5", "0x", "__1", "1_", "0_7"}, func(s string) (string, error) {
			n, err := strconv.ParseInt(s, 0, 64)
			return fmt.Sprint(n), err
		}),
		"bool": rows([]string{"1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False", "yes", "", "tRUE"}, func(s string) (string, error) {
			b, err := strconv.ParseBool(s)
			return fmt.Sprint(b), err
		}),
		"flags": rows([]string{"", "-force", "--force", "-force=false", "-force=maybe", "-force x", "-field x", "-field=x y", "-field", "-field= y", "--field x -force y -z", "-nope", "-nope=1",
			"--", "-- -force", "- x", "---x", "-=x", "a -force", "-h", "-help", "-field -force", "-field=a=b", "-force=T"}, flags),
		"glob": pairs(globs, func(a, b string) string { return fmt.Sprint(glob.Glob(a, b)) }),
		"endStars": pairs(append(globs, [2]string{"*a", "ba"}, [2]string{"*", "*"}), func(a, b string) string { return fmt.Sprint(strutil.GlobbedStringsMatch(a, b)) }),
		"cidr": pairs([][2]string{{"10.0.0.0/8", "10.1.2.3"}, {"10.0.0.0/8", "11.1.2.3"}, {"10.1.2.3/8", "10.9.9.9"}, {"127.0.0.1", "127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}, {"0.0.0.0/0", "1.2.3.4"},
			{"fd00::/8", "fd12::1"}, {"fd00::/8", "fe80::1"}, {"::1", "::1"}, {"2001:db8::/33", "2001:db8:7fff::1"}, {"2001:db8::/33", "2001:db8:8000::1"}, {"10.0.0.0/31", "10.0.0.1"}, {"10.0.0.0/31", "10.0.0.2"},
			{"10.0.0.0/8", "::1"}},
			func(a, b string) string {
				x, err := sockaddr.NewIPAddr(a)
				if err != nil {
					return err.Error()
				}
				y, _ := sockaddr.NewIPAddr(b)
				return fmt.Sprintf("%s %v", x.String(), x.Contains(y))
			}),
		"canonical": rows([]string{`{"b":1,"a":2}`, `{"a":1,"a":2}`, `[1.0,1e5,1E+2,-0,0.1,12345678901234567890,1.5,100000000000000000000000]`, `"<&>"`, `"\u2028\u2029"`, `"\ud800"`, `"\ud83c\udf89 é"`,
			`{"\uffff":1,"\ud83c\udf89":2,"z":3}`, `{"10":1,"9":2,"":3}`, `{"__proto__":{"x":1},"constructor":2}`, ` [ true , false , null ] `, `"\b\f\n\r\t\u0001\u007f\/"`, `{}`, `[]`, `[[],{}]`, `""`,
			`nul`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `[1 2]`, `[1,]`, `[`, `"abc`, `"a` + "\n" + `b"`, `"\q"`, `"\u12g4"`, `01`, `-`, `1.`, `1e`, `tru`, `trux`, ``, ` `, `{"a":1}x`, `+1`, `.5`, `'a'`},
			func(s string) (string, error) {
				d := json.NewDecoder(strings.NewReader(s))
				d.UseNumber()
				var v any
				if err := d.Decode(&v); err != nil {
					return "", err
				}
				var b bytes.Buffer
				err := json.NewEncoder(&b).Encode(v)
				return strings.TrimSuffix(b.String(), "\n"), err
			}),
		"wrap": rows([]string{"short", "", "The address of the server, written as a URL with its scheme, host and port; a name in the cluster will do, too, when the command runs there.",
			"a superlongwordthatdoesntfitinthelineatallandmustthereforestandaloneonitsownline then some more words", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"},
			func(s string) (string, error) { return text.Wrap(s, 30), nil }),
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	if err := enc.Encode(all); err != nil {
		panic(err)
	}
}
