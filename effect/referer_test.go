package effect

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Seen on Envoys 1.36.4 and 1.40.0.
func TestReferers(t *testing.T) {
	for _, s := range []string{
		"junk", "/a", "", "http://a:80", "http://[::1]/", "a?b", "a,b", "http://a?b", "ftp://a", "android-app://com.x", "http://.", "http://a..b", "http://-",
		"a://b", "a+b://c", "http://a.b:0", "http://A.B",
	} {
		assert.True(t, isReferer(s), s)
	}
	for _, s := range []string{
		"http://", "http:///", "http://a,b", "http://a_b/", "http://a b", "http://a%2f", "x:y", "://a", "1http://a", "http:a", "http://a:x", "http://a:99999",
		"http://a@b", "http://u:p@b", "http://[::1", "http://\xc3\xa9", "a b", "http://a/b c", "http://a#b", "http://a$b", "http://a*b", "http://a;b", "http://a'b",
		"http://a!b", "http://a~b", "http://a(b", "http://a&b", "http://a=b", "http://a+b", "http://a|b", "http://a<b", "file:///a", "about:blank", "data:a,b",
		"mailto:a@b", "http://a\\b", "http://a:", "http://:80", "a_b://c", "http://%",
	} {
		assert.False(t, isReferer(s), s)
	}
}
