package envoy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy"
)

// pathRules forward everything, so that the destination sees what became of the path.
const pathRules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: [a.test], gateways: [gw], http: [{route: [{destination: {host: up.svc}}]}]}
`

// pathPieces are what nasty paths are made of.
var pathPieces = []string{
	"/", "/", "/", "//", "a", "admin", "b.c", ".", "..", "...", "%2e", "%2E%2e", ".%2e", "%2f", "%2F", "%5c", "%5C", `\`, ";", "..;", ".;", ";x=1",
	"%2e%2e;y", ".%2e;", "%61", "%7E", "%41", "%", "%2", "%zz", "%25", "%252e", "%252f", "%00", "%c3%BC", "|", "^", "`", "{}", "~", "-_", "*", "+", ":@!$&'()", ",=",
}

// nastyPaths are told apart, and always the same for a seed.
func nastyPaths(n int) []string {
	r := rand.New(rand.NewPCG(11, 2)) //nolint:gosec // the same every time
	out := []string{
		"/", "//", "///", "/admin", "//admin", `/\admin`, "/%2fadmin", "/%5cadmin", "/admin/", "/x/../admin", "/x/..%2fadmin", "/x%2f..%2fadmin",
		"/x/..;a=b/admin", "/x/%2e%2e;a=b/admin", `/x\..;a=b\admin`, "/x/.%2e;a=b/admin", "/x%2f..;a=b%2fadmin", "/.;/admin", "/%2e;/admin",
		"/%2%61", "/%%361", "/a?b=//../%2f", "/a%2fb?c=%2f", "/..", "/../..", "/a/..", "/%2e%2e/%2e%2e/a", "/a//..//b", "/*", "/a#b", "/a%23b", "/a%3fb",
	}
	seen := map[string]bool{}
	for _, p := range out {
		seen[p] = true
	}
	for len(out) < n {
		var b strings.Builder
		b.WriteByte('/')
		for range 1 + r.IntN(8) {
			b.WriteString(pathPieces[r.IntN(len(pathPieces))])
		}
		if p := b.String(); !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// TestPathsAreNormalisedAsByEnvoy holds the one model of paths against Envoys, in all ways that flags offer.
func TestPathsAreNormalisedAsByEnvoy(t *testing.T) {
	yes, no := true, false
	policies := map[string]envoy.Options{
		"NONE":                     {Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeNone}},
		"BASE":                     {Profile: envoy.ProfilePlain},
		"MERGE_SLASHES":            {Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeMergeSlashes}},
		"DECODE_AND_MERGE_SLASHES": {Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeDecodeAndMergeSlashes}},
		"edge":                     {},
		"edge, kept as they are":   {Paths: effect.Paths{MergeSlashes: &no, EscapedSlashes: effect.KeepEscapedSlashes}},
		"rejected":                 {Profile: envoy.ProfilePlain, Paths: effect.Paths{EscapedSlashes: effect.RejectEscapedSlashes}},
		"redirected, not merged":   {Profile: envoy.ProfilePlain, Paths: effect.Paths{EscapedSlashes: effect.RedirectEscapedSlashes}},
		"NONE, but decoded":        {Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeNone, MergeSlashes: &yes, EscapedSlashes: effect.ForwardEscapedSlashes}},
	}
	paths := nastyPaths(400)
	for _, b := range envoys(t) {
		for name, o := range policies {
			t.Run(b.Version+" "+name, func(t *testing.T) {
				r := rawTestbed(t, pathRules)
				startEnvoy(t, b, r, "", func(out *envoy.Options) { out.Profile, out.Paths = o.Profile, o.Paths })
				o.Minor = b.Minor
				in := o.Intake()
				kinds := map[effect.PathAction]int{}
				c := r.client()
				for _, path := range paths {
					got, err := c.retry(request(path, nil))
					if !assert.NoError(t, err, path) {
						continue
					}
					normal, action := in.Paths.Normalize(path, in.Behaviour())
					kinds[action]++
					want := map[effect.PathAction]string{effect.PathTaken: "200 " + normal, effect.PathRefused: "400 ", effect.PathRedirected: "307 " + normal}[action]
					seen := newReply(got.status, got.headers, []byte(got.body))
					is := fmt.Sprintf("%d %s", got.status, seen.Location)
					if seen.Seen != nil {
						is = fmt.Sprintf("%d %s", got.status, seen.Seen.Path)
					}
					assert.Equal(t, want, is, path)
				}
				assert.Greater(t, kinds[effect.PathTaken], 50)
			})
		}
	}
}
