package names

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// VS-SEL-03: how a resource of namespace "own" reaches a proxy in "own" and one in "other".
func TestVisibility(t *testing.T) {
	for what, c := range map[string]struct {
		exportTo         []string
		toOwn, toAnother Visibility
	}{
		"nothing is public":                {nil, Public, Public},
		"everybody":                        {[]string{"*"}, Public, Public},
		"everybody, whatever else":         {[]string{"~", "*"}, Public, Public},
		"nobody":                           {[]string{"~"}, Hidden, Hidden},
		"nobody, whatever else":            {[]string{"~", "."}, Hidden, Hidden},
		"its own":                          {[]string{"."}, Private, Hidden},
		"its own, by name":                 {[]string{"own"}, Private, Hidden},
		"another":                          {[]string{"other"}, Hidden, Exported},
		"both":                             {[]string{"other", "."}, Private, Exported},
		"a third":                          {[]string{"third"}, Hidden, Hidden},
		"its own first: nobody comes late": {[]string{"third", "~"}, Hidden, Hidden},
	} {
		assert.Equal(t, c.toOwn, VisibilityTo("own", "own", c.exportTo), "%s: to its own", what)
		assert.Equal(t, c.toAnother, VisibilityTo("other", "own", c.exportTo), "%s: to another", what)
	}
}

// VS-GW-01: which hosts of a server VirtualServices of a namespace may use.
func TestHostsFor(t *testing.T) {
	hosts := []string{"all.test", "own/a.test", "other/b.test", "*/c.test"}
	assert.Equal(t, []string{"all.test", "a.test", "c.test"}, HostsFor(hosts, "own"))
	assert.Equal(t, []string{"all.test", "c.test"}, HostsFor(hosts, "third"))
}
