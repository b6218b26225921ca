package gateway_test

const rules = "http: [{route: [{destination: {host: b}}]}]"

var virtualServiceFindings = map[string]finding{
	"a delegate has no gateways":                 found(virtualService("{gateways: [gw], "+rules+"}"), "VAL-VS-01 error"),
	"a delegate has neither tls nor tcp":         found(virtualService("{"+rules+", tls: [{match: [{sniHosts: [a.com]}], route: [{destination: {host: b}}]}], tcp: [{route: [{destination: {host: b}}]}]}"), "VAL-VS-01 error", "VAL-VS-01 error", "VAL-L-02 error"),
	"a delegate may have http":                   near(virtualService("{" + rules + "}")),
	"the namespace of a Gateway is a label":      found(virtualService("{hosts: [a.com], gateways: [a_b/gw], "+rules+"}"), "VAL-VS-02 error"),
	"the own namespace has a name":               found(virtualService("{hosts: [a.com], gateways: [./gw], "+rules+"}"), "VAL-VS-02 error"),
	"a Gateway has one slash":                    found(virtualService("{hosts: [a.com], gateways: [a/b/c], "+rules+"}"), "VAL-VS-02 error"),
	"names may have capitals":                    near(virtualService("{hosts: [a.com], gateways: [Ns/Gw], " + rules + "}")),
	"a Gateway has a name":                       found(virtualService("{hosts: [a.com], gateways: ['a b'], "+rules+"}"), "VAL-VS-03 error"),
	"names behind a plain one are not looked at": near(virtualService("{hosts: [a.com], gateways: [gw, 'a b'], " + rules + "}")),
	"names with dots are old":                    found(virtualService("{hosts: [a.com], gateways: [gw.ns.svc.cluster.local], "+rules+"}"), "VAL-VS-04 warning"),
	"a dot is old, and no name":                  found(virtualService("{hosts: [a.com], gateways: [.], "+rules+"}"), "VAL-VS-03 error", "VAL-VS-04 warning"),
	"claims are for Gateways":                    found(virtualService("{hosts: [a.com], http: [{match: [{headers: {'@request.auth.claims.sub': {exact: x}}}], "+to+"}]}"), "VAL-VS-05 error"),
	"claims are not for Gateways with the mesh":  found(virtualService("{hosts: [a.com], gateways: [gw, mesh], http: [{match: [{withoutHeaders: {'@request.auth.claims[sub]': {}}}], "+to+"}]}"), "VAL-VS-05 error"),
	"claims can be matched at a Gateway":         near(rule("{match: [{headers: {'@request.auth.claims.sub': {exact: x}}}], " + to + "}")),
	"a host has no port":                         found(virtualService("{hosts: ['a.com:80'], "+rules+"}"), "VAL-VS-06 error"),
	"a host has a star in front alone":           found(virtualService("{hosts: ['a.*.com'], "+rules+"}"), "VAL-VS-06 error"),
	"an address is a host":                       near(virtualService("{hosts: [10.0.0.1, '::1'], " + rules + "}")),
	"a number is a host, if it is short":         near(virtualService("{hosts: ['123', 'a.com.'], " + rules + "}")),
	"a host's last label is no number":           found(virtualService("{hosts: [a.123], "+rules+"}"), "VAL-VS-06 error"),
	"names that Istio makes are for SNI":         found(virtualService("{hosts: [outbound_.80_._.a.b], gateways: [gw], "+rules+"}"), "VAL-VS-06 error"),
	"behind a Gateway SNI has such names":        near(virtualService("{hosts: [outbound_.80_._.a.b], gateways: [gw], tls: [{match: [{sniHosts: [outbound_.80_._.a.b]}], " + to + "}]}")),
	"the mesh has no host *":                     found(virtualService("{hosts: ['*'], "+rules+"}"), "VAL-VS-07 error"),
	"a Gateway has a host *":                     near(virtualService("{hosts: ['*'], gateways: [gw], " + rules + "}")),
	"no host stands twice":                       found(virtualService("{hosts: [a.com, a.com], "+rules+"}"), "VAL-VS-08 error"),
	"no host stands below another":               found(virtualService("{hosts: ['*.com', a.com, '*.a.com'], "+rules+"}"), "VAL-VS-08 error", "VAL-VS-08 error"),
	"a wildcard does not match its own domain":   near(virtualService("{hosts: ['*.a.com', a.com], " + rules + "}")),
	"bad hosts are not compared":                 found(virtualService("{hosts: [a.com, a.com, 'a b'], "+rules+"}"), "VAL-VS-06 error"),
	"a VirtualService has rules":                 found(virtualService("{hosts: [a.com]}"), "VAL-VS-09 error"),
	"a rule is not null":                         found(rule("null"), "VAL-VS-10 error", "VAL-H-05 error"),
	"nothing is exported twice":                  found(virtualService("{hosts: [a.com], exportTo: [x, x], "+rules+"}"), "VAL-VS-11 error"),
	"the own namespace has two names":            found(virtualService("{hosts: [a.com], exportTo: [., default], "+rules+"}"), "VAL-VS-11 error"),
	"all are enough":                             found(virtualService("{hosts: [a.com], exportTo: ['*', x], "+rules+"}"), "VAL-VS-11 error"),
	"a VirtualService is not hidden":             found(virtualService("{hosts: [a.com], exportTo: ['~'], "+rules+"}"), "VAL-VS-11 error"),
	"a namespace is a label":                     found(virtualService("{hosts: [a.com], exportTo: [x.y], "+rules+"}"), "VAL-VS-11 error"),
	"namespaces can be listed":                   near(virtualService("{hosts: [a.com], exportTo: [., x], " + rules + "}")),
}

// matches are http rules, each with one match.
func matches(list ...string) string {
	all := ""
	for _, m := range list {
		all += "{match: [" + m + "], " + to + "}, "
	}
	return rule(all)
}

var reachFindings = map[string]finding{
	"two rules take everything":                       found(rule("{"+to+"}, {"+to+"}"), "VAL-W-01 warning"),
	"the last rule may take everything":               near(rule("{match: [{uri: {prefix: /a}}], " + to + "}, {" + to + "}")),
	"behind everything nothing is left, match by one": found(rule("{"+to+"}, {match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}], "+to+"}"), "VAL-W-02 warning", "VAL-W-02 warning"),
	"an empty match is not known to take everything":  near(matches("{}", "{uri: {prefix: /a}}")),
	"one of two matches stood before":                 found(matches("{uri: {exact: /a}}", "{uri: {exact: /a}}, {uri: {exact: /b}}"), "VAL-W-03 warning"),
	"a name makes no difference":                      found(matches("{name: x, uri: {exact: /a}}", "{name: y, uri: {exact: /a}}"), "VAL-W-03 warning", "VAL-W-04 warning"),
	"a port makes a difference":                       near(matches("{uri: {exact: /a}}", "{uri: {exact: /a}, port: 80}")),
	"a prefix covers a longer one":                    found(matches("{uri: {prefix: /a}}", "{uri: {prefix: /ab}}"), "VAL-W-05 warning"),
	"a prefix covers within one rule":                 found(matches("{uri: {prefix: /a}}, {uri: {prefix: /ab}}"), "VAL-W-05 warning"),
	"a longer prefix may stand first":                 near(matches("{uri: {prefix: /ab}}", "{uri: {prefix: /a}}")),
	"no method counts as GET":                         near(matches("{uri: {prefix: /}}", "{uri: {prefix: /a}, method: {exact: POST}}")),
	"GET counts as no method":                         found(matches("{uri: {prefix: /}}", "{uri: {prefix: /a}, method: {exact: GET}}"), "VAL-W-05 warning"),
	"more headers are not known to ask for more":      near(matches("{uri: {prefix: /}}", "{uri: {prefix: /a}, headers: {x: {exact: y}}}")),
	"the same headers cover":                          found(matches("{uri: {prefix: /}, headers: {x: {exact: y}}}", "{uri: {prefix: /a}, headers: {x: {exact: y}}}"), "VAL-W-05 warning"),
	"other values do not cover":                       near(matches("{uri: {prefix: /}, queryParams: {x: {exact: y}}}", "{uri: {prefix: /a}, queryParams: {x: {exact: z}}}")),
	"the beginning of a value covers":                 found(matches("{uri: {prefix: /}, authority: {exact: a.com}}", "{uri: {prefix: /a}, authority: {exact: a}}"), "VAL-W-05 warning"),
	"a regular expression counts as no condition":     found(matches("{uri: {prefix: /}, withoutHeaders: {x: {regex: y}}}", "{uri: {prefix: /a}, withoutHeaders: {x: {regex: z}}}"), "VAL-W-05 warning"),
	"gateways are not looked at":                      found(matches("{uri: {prefix: /}, gateways: [x]}", "{uri: {prefix: /a}, gateways: [y]}"), "VAL-W-05 warning"),
	"an exact path is not compared":                   near(matches("{uri: {prefix: /}}", "{uri: {exact: /a}}")),
	"an equal prefix is not compared":                 near(matches("{uri: {prefix: /a}}", "{uri: {prefix: /a}, scheme: {exact: https}}")),
	"behind everything prefixes are not compared":     found(rule("{match: [{uri: {prefix: /a}}], "+to+"}, {"+to+"}, {match: [{uri: {prefix: /ab}}], "+to+"}"), "VAL-W-02 warning"),
	"tls rules repeat":                                found(virtualService("{hosts: [a.com], tls: [{match: [{sniHosts: [a.com]}], "+to+"}, {match: [{sniHosts: [a.com]}], "+to+"}]}"), "VAL-W-03 warning", "VAL-W-04 warning"),
	"tcp rules take everything":                       found(virtualService("{hosts: [a.com], tcp: [{"+to+"}, {"+to+"}, {match: [{port: 1}], "+to+"}]}"), "VAL-W-01 warning", "VAL-W-02 warning"),
}

func tls(rules string) string {
	return virtualService("{hosts: [a.com, '*.b.com'], tls: [" + rules + "]}")
}
func tcp(rules string) string { return virtualService("{hosts: [a.com], tcp: [" + rules + "]}") }

var l4Findings = map[string]finding{
	"a tls rule has a match":                   found(tls("{"+to+"}"), "VAL-L-01 error"),
	"a tls match has SNI hosts":                found(tls("{match: [{port: 1}], "+to+"}"), "VAL-L-01 error"),
	"a tls rule has a route":                   found(tls("{match: [{sniHosts: [a.com]}]}"), "VAL-L-01 error"),
	"SNI is a name":                            found(tls("{match: [{sniHosts: ['a b']}], "+to+"}"), "VAL-L-02 error"),
	"SNI stands below a host":                  found(tls("{match: [{sniHosts: ['*.a.com']}], "+to+"}"), "VAL-L-02 error"),
	"SNI may be narrower than a host":          near(tls("{match: [{sniHosts: ['*.x.b.com']}], " + to + "}")),
	"an address is no SNI":                     found(tls("{match: [{sniHosts: [10.0.0.1]}], "+to+"}"), "VAL-L-03 warning"),
	"a subnet is a range of addresses":         found(tls("{match: [{sniHosts: [a.com], destinationSubnets: [10.0.0.0/40]}], "+to+"}"), "VAL-L-04 error"),
	"a subnet may be an address":               near(tcp("{match: [{destinationSubnets: [10.0.0.1, '2001:1::/64']}], " + to + "}")),
	"a tcp match has a port":                   found(tcp("{match: [{port: 70000}], "+to+"}"), "VAL-L-04 error"),
	"a tcp match has labels":                   found(tcp("{match: [{sourceLabels: {'a b': c}}], "+to+"}"), "VAL-L-04 error"),
	"a tcp match has Gateways":                 found(tcp("{match: [{gateways: ['a b']}], "+to+"}"), "VAL-L-04 error"),
	"a tcp rule has a route":                   found(tcp("{match: [{port: 1}]}"), "VAL-L-05 error"),
	"a tcp rule needs no match":                near(tcp("{" + to + "}")),
	"a tcp route has a destination":            found(tcp("{route: [{weight: 1}]}"), "VAL-L-06 error"),
	"a tcp destination is a name":              found(tcp("{route: [{destination: {host: 10.0.0.1}}]}"), "VAL-L-06 error"),
	"tcp weights are more than 0":              found(tcp("{route: [{destination: {host: b}}, {destination: {host: c}}]}"), "VAL-L-06 error"),
	"a tls weight is not negative":             found(tls("{match: [{sniHosts: [a.com]}], route: [{destination: {host: b}, weight: -1}]}"), "VAL-L-06 error"),
	"a single tcp destination needs no weight": near(tcp("{route: [{destination: {host: b}}]}")),
}
