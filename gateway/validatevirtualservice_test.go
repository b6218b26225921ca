package gateway_test

const oneRule = "http: [{route: [{destination: {host: b}}]}]"

var virtualServiceFindings = map[string]finding{
	"a delegate has no gateways":                 found(virtualServiceOf("{gateways: [gw], "+oneRule+"}"), "VAL-VS-01 error"),
	"a delegate has neither tls nor tcp":         found(virtualServiceOf("{"+oneRule+", tls: [{match: [{sniHosts: [a.com]}], route: [{destination: {host: b}}]}], tcp: [{route: [{destination: {host: b}}]}]}"), "VAL-VS-01 error", "VAL-VS-01 error", "VAL-L-02 error"),
	"a delegate may have http":                   near(virtualServiceOf("{" + oneRule + "}")),
	"the namespace of a Gateway is a label":      found(virtualServiceOf("{hosts: [a.com], gateways: [a_b/gw], "+oneRule+"}"), "VAL-VS-02 error"),
	"the own namespace has a name":               found(virtualServiceOf("{hosts: [a.com], gateways: [./gw], "+oneRule+"}"), "VAL-VS-02 error"),
	"a Gateway has one slash":                    found(virtualServiceOf("{hosts: [a.com], gateways: [a/b/c], "+oneRule+"}"), "VAL-VS-02 error"),
	"names may have capitals":                    near(virtualServiceOf("{hosts: [a.com], gateways: [Ns/Gw], " + oneRule + "}")),
	"a Gateway has a name":                       found(virtualServiceOf("{hosts: [a.com], gateways: ['a b'], "+oneRule+"}"), "VAL-VS-03 error"),
	"names behind a plain one are not looked at": near(virtualServiceOf("{hosts: [a.com], gateways: [gw, 'a b'], " + oneRule + "}")),
	"names with dots are old":                    found(virtualServiceOf("{hosts: [a.com], gateways: [gw.ns.svc.cluster.local], "+oneRule+"}"), "VAL-VS-04 warning"),
	"a dot is old, and no name":                  found(virtualServiceOf("{hosts: [a.com], gateways: [.], "+oneRule+"}"), "VAL-VS-03 error", "VAL-VS-04 warning"),
	"claims are for Gateways":                    found(virtualServiceOf("{hosts: [a.com], http: [{match: [{headers: {'@request.auth.claims.sub': {exact: x}}}], "+to+"}]}"), "VAL-VS-05 error"),
	"claims are not for Gateways with the mesh":  found(virtualServiceOf("{hosts: [a.com], gateways: [gw, mesh], http: [{match: [{withoutHeaders: {'@request.auth.claims[sub]': {}}}], "+to+"}]}"), "VAL-VS-05 error"),
	"claims can be matched at a Gateway":         near(ruleOf("{match: [{headers: {'@request.auth.claims.sub': {exact: x}}}], " + to + "}")),
	"a host has no port":                         found(virtualServiceOf("{hosts: ['a.com:80'], "+oneRule+"}"), "VAL-VS-06 error"),
	"a host has a star in front alone":           found(virtualServiceOf("{hosts: ['a.*.com'], "+oneRule+"}"), "VAL-VS-06 error"),
	"an address is a host":                       near(virtualServiceOf("{hosts: [10.0.0.1, '::1'], " + oneRule + "}")),
	"a number is a host, if it is short":         near(virtualServiceOf("{hosts: ['123', 'a.com.'], " + oneRule + "}")),
	"a host's last label is no number":           found(virtualServiceOf("{hosts: [a.123], "+oneRule+"}"), "VAL-VS-06 error"),
	"names that Istio makes are for SNI":         found(virtualServiceOf("{hosts: [outbound_.80_._.a.b], gateways: [gw], "+oneRule+"}"), "VAL-VS-06 error"),
	"behind a Gateway SNI has such names":        near(virtualServiceOf("{hosts: [outbound_.80_._.a.b], gateways: [gw], tls: [{match: [{sniHosts: [outbound_.80_._.a.b]}], " + to + "}]}")),
	"the mesh has no host *":                     found(virtualServiceOf("{hosts: ['*'], "+oneRule+"}"), "VAL-VS-07 error"),
	"a Gateway has a host *":                     near(virtualServiceOf("{hosts: ['*'], gateways: [gw], " + oneRule + "}")),
	"no host stands twice":                       found(virtualServiceOf("{hosts: [a.com, a.com], "+oneRule+"}"), "VAL-VS-08 error"),
	"no host stands below another":               found(virtualServiceOf("{hosts: ['*.com', a.com, '*.a.com'], "+oneRule+"}"), "VAL-VS-08 error", "VAL-VS-08 error"),
	"a wildcard does not match its own domain":   near(virtualServiceOf("{hosts: ['*.a.com', a.com], " + oneRule + "}")),
	"bad hosts are not compared":                 found(virtualServiceOf("{hosts: [a.com, a.com, 'a b'], "+oneRule+"}"), "VAL-VS-06 error"),
	"a VirtualService has rules":                 found(virtualServiceOf("{hosts: [a.com]}"), "VAL-VS-09 error"),
	"a rule is not null":                         found(ruleOf("null"), "VAL-VS-10 error", "VAL-H-05 error"),
	"nothing is exported twice":                  found(virtualServiceOf("{hosts: [a.com], exportTo: [x, x], "+oneRule+"}"), "VAL-VS-11 error"),
	"the own namespace has two names":            found(virtualServiceOf("{hosts: [a.com], exportTo: [., default], "+oneRule+"}"), "VAL-VS-11 error"),
	"all are enough":                             found(virtualServiceOf("{hosts: [a.com], exportTo: ['*', x], "+oneRule+"}"), "VAL-VS-11 error"),
	"a VirtualService is not hidden":             found(virtualServiceOf("{hosts: [a.com], exportTo: ['~'], "+oneRule+"}"), "VAL-VS-11 error"),
	"a namespace is a label":                     found(virtualServiceOf("{hosts: [a.com], exportTo: [x.y], "+oneRule+"}"), "VAL-VS-11 error"),
	"namespaces can be listed":                   near(virtualServiceOf("{hosts: [a.com], exportTo: [., x], " + oneRule + "}")),
}

// matchesOf are http rules, each with one match.
func matchesOf(list ...string) string {
	all := ""
	for _, m := range list {
		all += "{match: [" + m + "], " + to + "}, "
	}
	return ruleOf(all)
}

var reachFindings = map[string]finding{
	"two rules take everything":                       found(ruleOf("{"+to+"}, {"+to+"}"), "VAL-W-01 warning"),
	"the last rule may take everything":               near(ruleOf("{match: [{uri: {prefix: /a}}], " + to + "}, {" + to + "}")),
	"behind everything nothing is left, match by one": found(ruleOf("{"+to+"}, {match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}], "+to+"}"), "VAL-W-02 warning", "VAL-W-02 warning"),
	"an empty match is not known to take everything":  near(matchesOf("{}", "{uri: {prefix: /a}}")),
	"one of two matches stood before":                 found(matchesOf("{uri: {exact: /a}}", "{uri: {exact: /a}}, {uri: {exact: /b}}"), "VAL-W-03 warning"),
	"a name makes no difference":                      found(matchesOf("{name: x, uri: {exact: /a}}", "{name: 'y', uri: {exact: /a}}"), "VAL-W-03 warning", "VAL-W-04 warning"),
	"a port makes a difference":                       near(matchesOf("{uri: {exact: /a}}", "{uri: {exact: /a}, port: 80}")),
	"a prefix covers a longer one":                    found(matchesOf("{uri: {prefix: /a}}", "{uri: {prefix: /ab}}"), "VAL-W-05 warning"),
	"a prefix covers within one rule":                 found(matchesOf("{uri: {prefix: /a}}, {uri: {prefix: /ab}}"), "VAL-W-05 warning"),
	"a longer prefix may stand first":                 near(matchesOf("{uri: {prefix: /ab}}", "{uri: {prefix: /a}}")),
	"no method counts as GET":                         near(matchesOf("{uri: {prefix: /}}", "{uri: {prefix: /a}, method: {exact: POST}}")),
	"GET counts as no method":                         found(matchesOf("{uri: {prefix: /}}", "{uri: {prefix: /a}, method: {exact: GET}}"), "VAL-W-05 warning"),
	"more headers are not known to ask for more":      near(matchesOf("{uri: {prefix: /}}", "{uri: {prefix: /a}, headers: {x: {exact: 'y'}}}")),
	"the same headers cover":                          found(matchesOf("{uri: {prefix: /}, headers: {x: {exact: 'y'}}}", "{uri: {prefix: /a}, headers: {x: {exact: 'y'}}}"), "VAL-W-05 warning"),
	"other values do not cover":                       near(matchesOf("{uri: {prefix: /}, queryParams: {x: {exact: 'y'}}}", "{uri: {prefix: /a}, queryParams: {x: {exact: z}}}")),
	"the beginning of a value covers":                 found(matchesOf("{uri: {prefix: /}, authority: {exact: a.com}}", "{uri: {prefix: /a}, authority: {exact: a}}"), "VAL-W-05 warning"),
	"a regular expression counts as no condition":     found(matchesOf("{uri: {prefix: /}, withoutHeaders: {x: {regex: 'y'}}}", "{uri: {prefix: /a}, withoutHeaders: {x: {regex: z}}}"), "VAL-W-05 warning"),
	"gateways are not looked at":                      found(matchesOf("{uri: {prefix: /}, gateways: [x]}", "{uri: {prefix: /a}, gateways: ['y']}"), "VAL-W-05 warning"),
	"an exact path is not compared":                   near(matchesOf("{uri: {prefix: /}}", "{uri: {exact: /a}}")),
	"an equal prefix is not compared":                 near(matchesOf("{uri: {prefix: /a}}", "{uri: {prefix: /a}, scheme: {exact: https}}")),
	"behind everything prefixes are not compared":     found(ruleOf("{match: [{uri: {prefix: /a}}], "+to+"}, {"+to+"}, {match: [{uri: {prefix: /ab}}], "+to+"}"), "VAL-W-02 warning"),
	"tls rules repeat":                                found(virtualServiceOf("{hosts: [a.com], tls: [{match: [{sniHosts: [a.com]}], "+to+"}, {match: [{sniHosts: [a.com]}], "+to+"}]}"), "VAL-W-03 warning", "VAL-W-04 warning"),
	"tcp rules take everything":                       found(virtualServiceOf("{hosts: [a.com], tcp: [{"+to+"}, {"+to+"}, {match: [{port: 1}], "+to+"}]}"), "VAL-W-01 warning", "VAL-W-02 warning"),
}

func tlsOf(rules string) string {
	return virtualServiceOf("{hosts: [a.com, '*.b.com'], tls: [" + rules + "]}")
}
func tcpOf(rules string) string { return virtualServiceOf("{hosts: [a.com], tcp: [" + rules + "]}") }

var l4Findings = map[string]finding{
	"a tls rule has a match":                   found(tlsOf("{"+to+"}"), "VAL-L-01 error"),
	"a tls match has SNI hosts":                found(tlsOf("{match: [{port: 1}], "+to+"}"), "VAL-L-01 error"),
	"a tls rule has a route":                   found(tlsOf("{match: [{sniHosts: [a.com]}]}"), "VAL-L-01 error"),
	"SNI is a name":                            found(tlsOf("{match: [{sniHosts: ['a b']}], "+to+"}"), "VAL-L-02 error"),
	"SNI stands below a host":                  found(tlsOf("{match: [{sniHosts: ['*.a.com']}], "+to+"}"), "VAL-L-02 error"),
	"SNI may be narrower than a host":          near(tlsOf("{match: [{sniHosts: ['*.x.b.com']}], " + to + "}")),
	"an address is no SNI":                     found(tlsOf("{match: [{sniHosts: [10.0.0.1]}], "+to+"}"), "VAL-L-03 warning"),
	"a subnet is a range of addresses":         found(tlsOf("{match: [{sniHosts: [a.com], destinationSubnets: [10.0.0.0/40]}], "+to+"}"), "VAL-L-04 error"),
	"a subnet may be an address":               near(tcpOf("{match: [{destinationSubnets: [10.0.0.1, '2001:1::/64']}], " + to + "}")),
	"a tcp match has a port":                   found(tcpOf("{match: [{port: 70000}], "+to+"}"), "VAL-L-04 error"),
	"a tcp match has labels":                   found(tcpOf("{match: [{sourceLabels: {'a b': c}}], "+to+"}"), "VAL-L-04 error"),
	"a tcp match has Gateways":                 found(tcpOf("{match: [{gateways: ['a b']}], "+to+"}"), "VAL-L-04 error"),
	"a tcp rule has a route":                   found(tcpOf("{match: [{port: 1}]}"), "VAL-L-05 error"),
	"a tcp rule needs no match":                near(tcpOf("{" + to + "}")),
	"a tcp route has a destination":            found(tcpOf("{route: [{weight: 1}]}"), "VAL-L-06 error"),
	"a tcp destination is a name":              found(tcpOf("{route: [{destination: {host: 10.0.0.1}}]}"), "VAL-L-06 error"),
	"tcp weights are more than 0":              found(tcpOf("{route: [{destination: {host: b}}, {destination: {host: c}}]}"), "VAL-L-06 error"),
	"a tls weight is not negative":             found(tlsOf("{match: [{sniHosts: [a.com]}], route: [{destination: {host: b}, weight: -1}]}"), "VAL-L-06 error"),
	"a single tcp destination needs no weight": near(tcpOf("{route: [{destination: {host: b}}]}")),
}
