package gateway_test

import "waymark.dev/waymark/envoy/version"

func cookieOf(cookie string) string {
	return document("DestinationRule", "{host: b, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {"+cookie+"}}}}}")
}

func budgetOf(interval string) string {
	return document("DestinationRule", "{host: b, trafficPolicy: {retryBudget: {budgetInterval: "+interval+"}}}")
}

func gatewayCiphers(list string) string {
	return document("Gateway", "{selector: {a: b}, servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, credentialName: c, cipherSuites: "+list+"}}]}")
}

var envoyFindings = map[string]finding{
	"a header to set has the name of one":             found(doOf("headers: {request: {set: {'x y': a}}}"), "VAL-X-01 error"),
	"a header of a response has the name of one":      found(doOf("headers: {response: {add: {'x:y': a}}}"), "VAL-X-01 error"),
	"a header's name has no line break":               found(doOf(`headers: {response: {add: {"x\r\ny": a}}}`), "VAL-X-01 error"),
	"a destination's headers have names, too":         found(ruleOf("{route: [{destination: {host: b}, headers: {request: {set: {'(': a}}}}]}"), "VAL-X-01 error"),
	"a header may have any token for a name":          near(doOf("headers: {request: {set: {\"x!#$%&'*+-.^_`|~9\": a}}}")),
	"where a message ends is not said by a rule":      found(doOf("headers: {request: {set: {Transfer-Encoding: chunked}}, response: {add: {content-length: '3'}}}"), "VAL-X-01 error", "VAL-X-01 error"),
	"what says where a message ends may be removed":   near(doOf("headers: {request: {remove: [content-length]}}")),
	"a connection's header is set with a warning":     found(doOf("headers: {request: {set: {Connection: close}}, response: {set: {keep-alive: x}}}"), "VAL-X-04 warning", "VAL-X-04 warning"),
	"a redirect has no line break":                    found(ruleOf(`{redirect: {uri: "/a\r\nset-cookie: x=y", authority: "a\nb"}}`), "VAL-X-01 error", "VAL-X-01 error"),
	"a redirect's prefix has no NUL":                  found(ruleOf(`{match: [{uri: {prefix: /}}], redirect: {prefixRewrite: "/a\0"}}`), "VAL-X-01 error"),
	"a redirect may have a blank":                     near(ruleOf(`{redirect: {uri: "/a b"}}`)),
	"a rewrite has no line break and no blank":        found(doOf(`rewrite: {uri: "/a b", authority: "a\rb"}`), "VAL-X-01 error", "VAL-X-01 error"),
	"a rewrite by expression has no blank":            found(doOf(`rewrite: {uriRegexRewrite: {match: a, rewrite: '\1 HTTP/1.1'}}`), "VAL-X-01 error"),
	"a rewrite may be escaped":                        near(doOf(`rewrite: {uri: "/a%20b", authority: "a:80"}`)),
	"a hash cookie's path has no line break":          found(cookieOf(`name: a, path: "/\r\nset-cookie: admin=1", ttl: 1s`), "VAL-X-01 error"),
	"a hash cookie's name is a name":                  found(cookieOf(`name: "a;b", ttl: 1s`), "VAL-X-01 error"),
	"a hash cookie's attributes have no semicolon":    found(cookieOf(`name: a, ttl: 1s, attributes: [{name: "a;b"}, {name: c, value: "d\ne"}]`), "VAL-X-01 error", "VAL-X-01 error"),
	"a hash cookie may have attributes":               near(cookieOf("name: a, path: /a, ttl: 1s, attributes: [{name: SameSite, value: Lax}, {name: Secure}]")),
	"an operator is one of Envoy's":                   found(doOf("headers: {request: {set: {x: '%NO_SUCH%'}}}"), "VAL-X-02 error"),
	"an operator that needs an argument has one":      found(doOf("headers: {request: {set: {x: '%REQ%'}}}"), "VAL-X-02 error"),
	"an operator that takes no argument has none":     found(doOf("headers: {request: {set: {x: '%DURATION(1)%'}}, response: {add: {y: '%PROTOCOL(x)%'}}}"), "VAL-X-02 error", "VAL-X-02 error"),
	"an operator's argument is one that it takes":     found(doOf("headers: {request: {set: {x: '%FILTER_STATE(a:X)%'}}}"), "VAL-X-02 error"),
	"an operator of newer Envoys is warned of":        found(doOf("headers: {request: {set: {x: '%SPAN_ID%'}}}"), "VAL-X-02 warning"),
	"an operator of newer Envoys is an error for one": foundFor(36, doOf("headers: {request: {set: {x: '%SPAN_ID%'}}}"), "VAL-X-02 error"),
	"an operator of newer Envoys is one for newer":    foundFor(38, doOf("headers: {request: {set: {x: '%SPAN_ID%'}}}")),
	"an operator may have what it takes":              near(doOf("headers: {request: {set: {x: '%REQ(:path?x-a)% %FILTER_STATE(a:FIELD:b)% %START_TIME(%s)%'}}}")),
	"a cipher with a sign is known":                   found(gatewayCiphers("[ALL, '!NOPE']"), "VAL-X-05 error"),
	"ciphers are not only taken away":                 found(gatewayCiphers("['-SHA']"), "VAL-X-05 error"),
	"a group of ciphers may be taken away":            near(gatewayCiphers("[ALL, '!3DES', -SHA]")),
	"an expression has a bearable automaton":          found(whenOf(`{uri: {regex: '/.*[a-f].{900}'}}`), "VAL-X-06 warning"),
	"a repetition of an alternative has none":         found(whenOf(`{uri: {regex: '/(a|b)*a(a|b){14}/x'}}`), "VAL-X-06 warning"),
	"usual expressions have one":                      near(whenOf(`{uri: {regex: '/[a-z]{1,40}/(one|two|three)/[0-9]{4}-[0-9]{2}'}, method: {regex: '/api/v[0-9]+/.*'}}`)),
	"an expression for short values may have more":    near(whenOf(`{uri: {regex: '.{0,34}x.{0,34}z'}}`)),
	"an expression knows characters as old ones do":   found(whenOf(`{uri: {regex: '\x{20AC}'}}`), "VAL-X-03 warning"),
	"an expression is an error for a newer Envoy":     foundFor(39, whenOf(`{uri: {regex: '\x{20AC}'}}`), "VAL-X-03 error"),
	"an expression is none for an older Envoy":        foundFor(38, whenOf(`{uri: {regex: '\x{20AC}'}}`)),
	"the interval of a retry budget is of 1.39":       found(budgetOf("5s"), "VAL-X-08 warning"),
	"the interval is left out for an older Envoy":     foundFor(38, budgetOf("5s"), "VAL-X-08 warning"),
	"the interval is left out under protest":          {budgetOf("5s"), []string{"VAL-X-08 error"}, version.Only(38), true},
	"the interval is one for a newer Envoy":           foundFor(39, budgetOf("5s")),
	"an expression's class of Unicode is one of RE2s": found(whenOf(`{uri: {regex: '\p{Letter}'}}`), "VAL-H-10 error"),
	"a script may have two words":                     near(whenOf(`{uri: {regex: '\p{Linear_B}'}}`)),
}
