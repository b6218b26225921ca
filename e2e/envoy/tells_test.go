package envoy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
)

// The log of 'run' tells what is served and how to try it, which hosts are served where a request gets an empty 404, and
// what a change of the files has changed.
func TestRunTells(t *testing.T) {
	for engine, more := range map[string][]string{"wasm": nil, "envoy": {"--access-log", "json"}, "envoy in text": {"--access-log", "text"}} {
		t.Run(engine, func(t *testing.T) {
			name, _, _ := strings.Cut(engine, " ")
			r, dir := program.ServeBookinfo(t, name, append(more, "--log-format", "text")...)
			r.WaitFor(t, `msg="serving 3 hosts with 15 rules: bookinfo.example.com, ratings.bookinfo.example.com, reviews.bookinfo.example.com" hosts=3 rules=15`)
			r.WaitFor(t, "try: ")
			try := regexp.MustCompile(`try: curl -i (.*)"\n`).FindStringSubmatch(r.Output())
			require.NotNil(t, try)
			assert.Contains(t, try[1], r.Address)
			curl(t, "curl "+try[1]) // below 400
			if name == "envoy" {
				assert.Regexp(t, `the admin interface of Envoy is the socket /\S+/admin\.sock`, r.Output())
			}

			for range 3 {
				_, err := r.Get("nope.test", "/")
				require.NoError(t, err)
			}
			_, err := r.Get("bookinfo.example.com", "/none")
			require.NoError(t, err)
			r.WaitFor(t, `404: no host serves \"nope.test\"; the hosts that are served are bookinfo.example.com, `)

			file := filepath.Join(dir, "virtualservices.yaml")
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			text = []byte(strings.NewReplacer("weight: 60", "weight: 50", "weight: 30", "weight: 40").Replace(string(text)))
			require.NoError(t, os.WriteFile(file, text, 0o600))
			r.WaitFor(t, `files=`+file+` changes="rules: 1 changed (default/reviews.http[1]:split)"`)
			assert.Equal(t, 1, strings.Count(r.Output(), "404: no host serves"), r.Output())
		})
	}
}
