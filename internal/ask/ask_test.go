package ask

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/verdict"
)

func TestParse(t *testing.T) {
	l, err := Parse("POST a.test:8080/x?y=1 x-user=ann%20b cookie=a=b x-user=c @port:443 @sni:b.test => kind=route clusters.0.name=o|80||a fault=-")
	require.NoError(t, err)
	r := l.Request
	assert.Equal(t, "POST a.test:8080 /x?y=1", r.Method+" "+r.Authority+" "+r.Path)
	assert.Equal(t, uint32(443), r.GatewayPort)
	assert.True(t, r.TLS)
	assert.Equal(t, "b.test", r.SNI)
	assert.EqualValues(t, []string{"ann b", "c"}, r.Headers["x-user"])
	assert.EqualValues(t, []string{"a=b"}, r.Headers["cookie"])
	assert.Equal(t, []Want{{"kind", "route", false}, {"clusters.0.name", "o|80||a", false}, {"fault", "-", true}}, l.Want)

	l, err = Parse("a.test/ @tls => status=404")
	require.NoError(t, err)
	assert.Equal(t, "GET", l.Request.Method)
	assert.True(t, l.Request.TLS)
	assert.Equal(t, uint32(80), l.Request.GatewayPort)
}

func TestALineThatProvesNothingIsAnError(t *testing.T) {
	for _, line := range []string{"a.test/", "a.test/ =>", "GET => kind=route", "a.test/ => kind", "a.test/ @port:x => kind=route", "a.test/ what => kind=route"} {
		_, err := Parse(line)
		assert.Error(t, err, line)
	}
}

func TestProblems(t *testing.T) {
	v := &verdict.Verdict{Kind: verdict.NoRoute, Status: 404}
	for line, problems := range map[string]int{
		"a.test/ => kind=no_route status=404 fault=-": 0,
		"a.test/ => kind=route status=-":              2,
		"a.test/ => location=":                        1, // an empty text is not there either
	} {
		l, err := Parse(line)
		require.NoError(t, err)
		got, err := l.Problems(v)
		require.NoError(t, err)
		assert.Len(t, got, problems, line)
	}
}
