package gateway_test

func destinationRuleOf(policy string) string {
	return document("DestinationRule", "{host: a.com, trafficPolicy: "+policy+"}")
}

func outlierOf(fields string) string {
	return destinationRuleOf("{outlierDetection: {" + fields + "}}")
}

func hashOf(fields string) string {
	return destinationRuleOf("{loadBalancer: {consistentHash: {" + fields + "}}}")
}

// spreadOf is a DestinationRule with preferences of localities, and outlierDetection.
func spreadOf(fields string) string {
	return destinationRuleOf("{outlierDetection: {}, loadBalancer: {localityLbSetting: {" + fields + "}}}")
}

var destinationRuleFindings = map[string]finding{
	"a DestinationRule has a host":           found(document("DestinationRule", "{}"), "VAL-D-01 error"),
	"its host is no address":                 found(document("DestinationRule", "{host: 10.0.0.1}"), "VAL-D-01 error"),
	"its host may be everything":             near(document("DestinationRule", "{host: '*'}")),
	"a policy says something":                found(destinationRuleOf("{}"), "VAL-D-02 error"),
	"a subset's policy says something":       found(document("DestinationRule", "{host: a.com, subsets: [{name: v1, trafficPolicy: {}}]}"), "VAL-D-02 error"),
	"a port's policy says something":         found(destinationRuleOf("{portLevelSettings: [{port: {number: 80}}]}"), "VAL-D-02 error"),
	"a tunnel has no PROXY protocol":         found(destinationRuleOf("{tunnel: {targetHost: a.com, targetPort: 1}, proxyProtocol: {version: V1}}"), "VAL-D-03 error"),
	"a tunnel has a protocol and a target":   found(destinationRuleOf("{tunnel: {protocol: GET, targetHost: '*.com', targetPort: 0}}"), "VAL-D-03 error", "VAL-D-03 error", "VAL-D-03 error"),
	"PROXY protocol has two versions":        found(destinationRuleOf("{proxyProtocol: {version: 2}}"), "VAL-D-03 error"),
	"a tunnel may lead to an address":        near(destinationRuleOf("{tunnel: {protocol: POST, targetHost: 10.0.0.1, targetPort: 1}}")),
	"subsets have different names":           found(document("DestinationRule", "{host: a.com, subsets: [{name: v1}, {name: v1}]}"), "VAL-D-04 error"),
	"a subset has a name and labels":         found(document("DestinationRule", "{host: a.com, subsets: [{name: v.1, labels: {'': x, a: '-'}}]}"), "VAL-D-04 error", "VAL-D-04 error", "VAL-D-04 error"),
	"a subset needs no labels":               near(document("DestinationRule", "{host: a.com, subsets: [{name: v1}]}")),
	"a port's policy has the port":           found(destinationRuleOf("{portLevelSettings: [{tls: {}}]}"), "VAL-D-05 error"),
	"a pool is of HTTP or TCP":               found(destinationRuleOf("{connectionPool: {}}"), "VAL-D-06 error"),
	"a pool has no negative numbers":         found(destinationRuleOf("{connectionPool: {http: {maxRetries: -1, http2MaxRequests: -1}, tcp: {maxConnections: -1}}}"), "VAL-D-06 error", "VAL-D-06 error", "VAL-D-06 error"),
	"a pool has durations":                   found(destinationRuleOf("{connectionPool: {http: {idleTimeout: 0s}, tcp: {connectTimeout: 0s, tcpKeepalive: {time: 0s}}}}"), "VAL-D-06 error", "VAL-D-06 error", "VAL-D-06 error"),
	"a pool of TCP may never be idle":        near(destinationRuleOf("{connectionPool: {tcp: {idleTimeout: 0s}}}")),
	"the client's protocol is not upgraded":  found(destinationRuleOf("{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}"), "VAL-D-06 error"),
	"pings have an interval and a timeout":   found(destinationRuleOf("{connectionPool: {http: {http2KeepAlive: {}}}}"), "VAL-D-06 error", "VAL-D-06 error"),
	"consecutiveErrors is old":               found(outlierOf("consecutiveErrors: 5"), "VAL-D-07 warning"),
	"local errors are told apart":            found(outlierOf("consecutiveLocalOriginFailures: 1"), "VAL-D-08 error"),
	"local errors that are told apart":       near(outlierOf("consecutiveLocalOriginFailures: 1, splitExternalLocalOriginErrors: true")),
	"outliers have percentages":              found(outlierOf("maxEjectionPercent: 101, minHealthPercent: -1"), "VAL-D-08 error", "VAL-D-08 error"),
	"outliers have durations":                found(outlierOf("interval: 0s, baseEjectionTime: 0s"), "VAL-D-08 error", "VAL-D-08 error"),
	"a cookie has a name":                    found(hashOf("httpCookie: {ttl: 0s}"), "VAL-D-09 error"),
	"a cookie's attributes have names":       found(hashOf("httpCookie: {name: x, ttl: 0s, attributes: [{value: x}, {name: a}, {name: a}]}"), "VAL-D-09 error", "VAL-D-09 error"),
	"minimumRingSize is old":                 found(hashOf("useSourceIp: true, minimumRingSize: 1"), "VAL-D-10 warning"),
	"minimumRingSize is for the old ring":    found(hashOf("useSourceIp: true, minimumRingSize: 1, ringHash: {}"), "VAL-D-10 warning", "VAL-D-10 error"),
	"a table has a size":                     found(hashOf("useSourceIp: true, maglev: {}"), "VAL-D-11 error"),
	"a table's size is prime":                found(hashOf("useSourceIp: true, maglev: {tableSize: 65536}"), "VAL-D-11 error"),
	"a table is not huge":                    found(hashOf("useSourceIp: true, maglev: {tableSize: 5000011}"), "VAL-D-11 error"),
	"a table":                                near(hashOf("useSourceIp: true, maglev: {tableSize: 65537}")),
	"there is one preference":                found(destinationRuleOf("{loadBalancer: {localityLbSetting: {}, zoneAwareLbSetting: {}}}"), "VAL-D-12 error"),
	"distribute and failover differ":         found(spreadOf("distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]"), "VAL-D-12 error"),
	"failover has its own priority":          found(spreadOf("failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]"), "VAL-D-12 error"),
	"failover may have labels":               near(spreadOf("failover: [{from: a, to: b}], failoverPriority: [x]")),
	"a weight is at least 1":                 found(spreadOf("distribute: [{from: a, to: {b: 0, c: 100}}]"), "VAL-D-12 error"),
	"weights add up to 100":                  found(spreadOf("distribute: [{from: a, to: {b: 50, c: 49}}]"), "VAL-D-12 error"),
	"places do not overlap":                  found(spreadOf("distribute: [{from: a/b/c, to: {x/*: 50, x/y/z: 50}}]"), "VAL-D-12 error"),
	"sources do not overlap":                 found(spreadOf("distribute: [{from: a, to: {b: 100}}, {from: a/b, to: {b: 100}}]"), "VAL-D-12 error"),
	"a place has a star at the end":          found(spreadOf("distribute: [{from: '*/a', to: {b: 100}}]"), "VAL-D-12 error"),
	"a place has no empty part":              found(spreadOf("distribute: [{from: a//c, to: {b: 100}}]"), "VAL-D-12 error"),
	"a narrow place may stand before a star": near(spreadOf("distribute: [{from: a/b, to: {b: 100}}, {from: 'a/*', to: {b: 100}}]")),
	"failover leads elsewhere":               found(spreadOf("failover: [{from: a, to: a}]"), "VAL-D-12 error"),
	"failover is between regions":            found(spreadOf("failover: [{from: a/b, to: c}, {from: a, to: '*'}]"), "VAL-D-12 error", "VAL-D-12 error"),
	"failover needs outlierDetection":        found(destinationRuleOf("{loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}}"), "VAL-D-13 warning"),
	"a warmup has a duration":                found(destinationRuleOf("{loadBalancer: {warmup: {}}}"), "VAL-D-14 error"),
	"a warmup has bounds":                    found(destinationRuleOf("{loadBalancer: {warmup: {duration: 1s, minimumPercent: 101, aggression: 0}}}"), "VAL-D-14 error", "VAL-D-14 error"),
	"a warmup":                               near(destinationRuleOf("{loadBalancer: {warmup: {duration: 1s, minimumPercent: 100, aggression: 1}}}")),
	"MUTUAL has a certificate and a key":     found(destinationRuleOf("{tls: {mode: MUTUAL}}"), "VAL-D-15 error", "VAL-D-15 error"),
	"a credential stands alone":              found(destinationRuleOf("{tls: {mode: SIMPLE, credentialName: x, caCertificates: 'y'}}"), "VAL-D-15 error"),
	"what is not verified needs no CA":       found(destinationRuleOf("{tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: x}}"), "VAL-D-15 error"),
	"a MUTUAL credential may hold a key":     near(destinationRuleOf("{tls: {mode: MUTUAL, insecureSkipVerify: true, credentialName: x}}")),
	"a ConfigMap is of the own namespace":    found(destinationRuleOf("{tls: {mode: SIMPLE, credentialName: 'configmap://other/x'}}"), "VAL-D-15 error"),
	"a ConfigMap":                            near(destinationRuleOf("{tls: {mode: SIMPLE, credentialName: 'configmap://x'}}")),
	"chosen workloads are in the namespace":  found(document("DestinationRule", "{host: a.com, workloadSelector: {matchLabels: {a: b}}, exportTo: [x]}"), "VAL-D-16 error"),
	"a DestinationRule is not hidden":        found(document("DestinationRule", "{host: a.com, exportTo: ['~']}"), "VAL-D-16 error"),
	"chosen workloads, exported to them":     near(document("DestinationRule", "{host: a.com, workloadSelector: {matchLabels: {a: b}}, exportTo: [.]}")),
	"a selector has no stars":                found(document("DestinationRule", "{host: a.com, workloadSelector: {matchLabels: {a: '*', '': b}}}"), "VAL-D-17 error", "VAL-D-17 error"),
	"a selector has labels":                  found(document("DestinationRule", "{host: a.com, workloadSelector: {}}"), "VAL-D-17 warning"),
}
