package plain

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

// definition is the schema of one kind, as an API server uses it.
type definition struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

// definitions reads the CustomResourceDefinitions of Istio, by kind.
func definitions(t *testing.T) map[string]*definition {
	out := map[string]*definition{}
	for _, kind := range []string{"Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry"} {
		f, err := os.Open(filepath.Join(repository.Root, "e2e/testdata/crds", kind+".yaml.gz"))
		require.NoError(t, err)
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		text, err := io.ReadAll(z)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		var crd v1.CustomResourceDefinition
		require.NoError(t, yaml.Unmarshal(text, &crd))
		require.Equal(t, "v1", crd.Spec.Versions[0].Name)
		var internal apiextensions.JSONSchemaProps
		require.NoError(t, v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &internal, nil))
		d := &definition{}
		d.structural, err = schema.NewStructural(&internal)
		require.NoError(t, err)
		d.validator, _, err = validation.NewSchemaValidator(&internal)
		require.NoError(t, err)
		d.rules = cel.NewValidator(d.structural, true, celconfig.PerCallLimit)
		out[kind] = d
	}
	return out
}

// refuses returns what an API server answers to an object in JSON: why it refuses it, or the unknown fields that it removes.
func (d *definition) refuses(t *testing.T, text []byte) (errs field.ErrorList, unknown []string) {
	var object map[string]any
	require.NoError(t, kjson.UnmarshalCaseSensitivePreserveInts(text, &object))
	unknown = pruning.PruneWithOptions(object, d.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object, d.structural)
	errs = validation.ValidateCustomResource(nil, object, d.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, d.structural, object)...)
	if len(errs) == 0 { // an API server does not evaluate the rules of an object that does not fit the schema
		celErrs, _ := d.rules.Validate(t.Context(), nil, d.structural, object, nil, math.MaxInt64)
		errs = append(errs, celErrs...)
	}
	return errs, unknown
}

// realObjects are the objects of the vectors, the examples and the folders of testdata that are valid.
func realObjects(t *testing.T, all map[string]*definition) (objects []map[string]any) {
	var texts [][]byte
	for _, files := range []fs.FS{vectors.Open(t), vectors.Sidecar(t), os.DirFS(filepath.Join(repository.Root, "examples"))} {
		require.NoError(t, fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".yaml") {
				text, err := fs.ReadFile(files, path)
				texts = append(texts, text)
				return err
			}
			return err
		}))
	}
	texts = append(texts, []byte(everyField))
	seen := map[string]bool{}
	for _, text := range texts {
		for document := range strings.SplitSeq(string(text), "\n---") {
			var object map[string]any
			if yaml.Unmarshal([]byte(document), &object) != nil {
				continue
			}
			kind, _ := object["kind"].(string)
			version, _ := object["apiVersion"].(string)
			if all[kind] == nil || !strings.HasPrefix(version, "networking.istio.io/") {
				continue
			}
			object["apiVersion"] = "networking.istio.io/v1"
			object["metadata"] = map[string]any{"name": "a"}
			delete(object, "status")
			written := toJSON(t, object)
			if seen[string(written)] {
				continue
			}
			seen[string(written)] = true
			if errs, unknown := all[kind].refuses(t, written); len(errs) == 0 && len(unknown) == 0 {
				objects = append(objects, object)
			} else {
				require.NotEqual(t, everyField, string(text), "%s: %v %v", kind, errs, unknown)
			}
		}
	}
	return objects
}

// everyField has fields that the vectors have rarely.
const everyField = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.test]
  addresses: [10.0.0.1]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints: [{address: 10.0.0.2, ports: {http: 81}, labels: {app: a}, network: net, locality: a/b/c, weight: 2, serviceAccount: s}]
  exportTo: ["*"]
  subjectAltNames: [a]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a}
spec: {address: 10.0.0.2, ports: {http: 81}, labels: {app: a}, network: net, locality: a/b/c, weight: 2, serviceAccount: s}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a.test
  exportTo: ["*"]
  workloadSelector: {matchLabels: {app: a}}
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 1, connectTimeout: 1s, maxConnectionDuration: 1s, idleTimeout: 1s, tcpKeepalive: {probes: 1, time: 1s, interval: 1s}}
      http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRequestsPerConnection: 3, maxRetries: 4, idleTimeout: 1s, h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 2}
    loadBalancer:
      consistentHash: {httpCookie: {name: c, path: /, ttl: 1s}, ringHash: {minimumRingSize: 10}}
      localityLbSetting: {enabled: true, distribute: [{from: a/b, to: {a/b: 100}}]}
      warmup: {duration: 1s, minimumPercent: 10, aggression: 1}
    outlierDetection: {consecutive5xxErrors: 5, consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: 10, minHealthPercent: 20}
    tls: {mode: SIMPLE, sni: a.test, subjectAltNames: [a], insecureSkipVerify: true}
    portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]
    tunnel: {protocol: CONNECT, targetHost: b.test, targetPort: 90}
    proxyProtocol: {version: V2}
    retryBudget: {percent: 20, minRetryConcurrency: 3}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: a}
spec:
  selector: {app: a}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, bind: 0.0.0.0, name: s, hosts: [a.test], tls: {mode: SIMPLE, credentialName: c, minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]}}
  - {port: {number: 444, name: https-2, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, credentialNames: [c, d]}}
  - {port: {number: 445, name: https-3, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: /a, privateKey: /b}], subjectAltNames: [a]}}
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.test], tls: {httpsRedirect: true}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.test]
  gateways: [g]
  exportTo: ["."]
  tls: [{match: [{sniHosts: [a.test], port: 443, sourceLabels: {app: a}, destinationSubnets: [10.0.0.0/8], gateways: [g], sourceNamespace: ns}], route: [{destination: {host: a.test, port: {number: 1}}, weight: 100}]}]
  tcp: [{match: [{port: 1, sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: a.test, subset: s}}]}]
  http:
  - name: a
    match: [{name: m, uri: {prefix: /}, scheme: {exact: http}, method: {exact: GET}, authority: {regex: a}, headers: {x: {exact: "1"}}, withoutHeaders: {z: {}}, queryParams: {q: {exact: "1"}}, ignoreUriCase: true, port: 80, sourceLabels: {app: a}, gateways: [g], sourceNamespace: ns, statPrefix: s}]
    route: [{destination: {host: a.test, port: {number: 80}, subset: s}, weight: 100, headers: {request: {set: {a: b}, add: {c: d}, remove: [e]}}}]
    rewrite: {uriRegexRewrite: {match: a, rewrite: b}, authority: b}
    timeout: 1s
    retries: {attempts: 2, perTryTimeout: 1s, retryOn: 5xx, retryRemoteLocalities: true, retryIgnorePreviousHosts: false, backoff: 1s}
    fault: {delay: {fixedDelay: 1s, percentage: {value: 1.5}}, abort: {httpStatus: 500, percentage: {value: 2}}}
    mirrors: [{destination: {host: b.test}, percentage: {value: 3}}]
    corsPolicy: {allowOrigins: [{exact: a}], allowMethods: [GET], allowHeaders: [a], exposeHeaders: [b], maxAge: 1s, allowCredentials: true, unmatchedPreflights: IGNORE}
  - {match: [{uri: {exact: /r}}], redirect: {uri: /x, authority: b, port: 80, scheme: https, redirectCode: 302}}
  - {match: [{uri: {exact: /d}}], directResponse: {status: 200, body: {string: a}}}
  - {match: [{uri: {exact: /b}}], directResponse: {status: 200, body: {bytes: YQ==}}}
  - {match: [{uri: {exact: /m}}], route: [{destination: {host: a.test}}], mirror: {host: c.test}, mirrorPercentage: {value: 2}}
`

func toJSON(t *testing.T, value any) []byte {
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

func clone(t *testing.T, object map[string]any) (copied map[string]any) {
	require.NoError(t, json.Unmarshal(toJSON(t, object), &copied))
	return copied
}

// seat is a place in an object whose value can be replaced.
type seat struct {
	value any
	put   func(any)
	drop  func() // nil for an item of a list
}

// seats are all places below the spec.
func seats(value any) (out []seat) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, seat{v[key], func(n any) { v[key] = n }, func() { delete(v, key) }})
			out = append(out, seats(v[key])...)
		}
	case []any:
		for i := range v {
			out = append(out, seat{v[i], func(n any) { v[i] = n }, nil})
			out = append(out, seats(v[i])...)
		}
	}
	return out
}

// durations and other texts and numbers that a field may be given.
var (
	oddTexts   = []any{"", "yes", "1", "a", "0s", "1us", "1m", "1h1m", "1.5s", "-1s", "5", "1d", "a.b", "*", "/a", "10.0.0.1", "unix://a", "TLSV1_9", "V9", strings.Repeat("a", 64), strings.Repeat("a", 254), strings.Repeat("a", 257), strings.Repeat("ä", 250), strings.Repeat("a", 2049), "é", "a b", "A=b"}
	oddNumbers = []any{-1, 0, 1, 2, 99, 100, 101, 600, 65536, int64(math.MaxInt32) + 1, int64(math.MaxUint32), int64(math.MaxUint32) + 1, 1.5, 1.0, 1e30, json.Number("1e2"), json.Number("1.0"), math.MaxInt64, json.Number("18446744073709551615")}
	oddKeys    = []string{"unknown", "exact", "prefix", "regex", "simple", "consistentHash", "httpHeaderName", "useSourceIp", "string", "bytes", "http2Error", "grpcStatus", "percent", "exponentialDelay", "uri", "port", "derivePort", "uriRegexRewrite", "mirror_percent", "mirrorPercent", "targetPort", "minimumRingSize", "maglev", "warmup", "warmupDurationSecs", "httpQueryParameterName", "localityLbSetting", "failover", "distribute", "failoverPriority", "credentialNames", "credentialName", "tlsCertificates", "workloadSelector", "endpoints", "tls", "loadBalancer", "hosts", "websocketUpgrade", "appendHeaders", "x.y"}
)

// mutate changes an object in one place.
func mutate(random *rand.Rand, spec map[string]any) {
	all := append(seats(spec), seat{value: spec})
	s := all[random.IntN(len(all))]
	some := replacements(s)
	some[random.IntN(len(some))]()
}

// replacements are the changes of one place.
func replacements(s seat) (all []func()) {
	if s.put != nil {
		values := slices.Concat([]any{nil, true, []any{s.value}, map[string]any{"a": s.value}, []any{}, map[string]any{}}, oddTexts, oddNumbers)
		switch v := s.value.(type) {
		case []any:
			if len(v) > 0 {
				values = append(values, v[0], slices.Concat(v, []any{nil}))
				for _, n := range []int{2, 3, 5, 129, 257, 4097} {
					values = append(values, slices.Repeat(v[:1], n))
				}
			}
		case string:
			for _, n := range []int{1, 70, 300, 3000} {
				values = append(values, v+strings.Repeat("a", n))
			}
		case float64:
			values = append(values, fmt.Sprint(v), -v, v+1)
		}
		for _, value := range values {
			all = append(all, func() { s.put(value) })
		}
	}
	if s.drop != nil {
		all = append(all, s.drop)
	}
	if object, ok := s.value.(map[string]any); ok {
		for _, n := range []int{129, 257, 4097} {
			all = append(all, func() {
				for i := range n {
					object[fmt.Sprint("k", i)] = "v"
				}
			})
		}
		for _, key := range oddKeys {
			for _, value := range []any{"a", 1, nil, map[string]any{}, []any{"a"}, "1s", map[string]any{"duration": "1s"}, map[string]any{"number": 80}, map[string]any{"exact": "a"}} {
				all = append(all, func() { object[key] = value })
			}
		}
	}
	return all
}

// TestSchemaIsThatOfTheDefinitions holds findings against what an API server answers to the same objects: a mutant that it
// refuses, or from which it removes a field, has an error, and one that has an error of the schema is refused.
func TestSchemaIsThatOfTheDefinitions(t *testing.T) {
	all := definitions(t)
	objects := realObjects(t, all)
	require.Greater(t, len(objects), 100)
	const everyKinds = 6                  // objects in everyField, which are the last ones
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a fixed seed
	type mutant struct {
		text []byte
		kind string
	}
	const perFile = 50 // mutants that are read together
	// A part of the changes of each place of everyField, and then random ones. WAYMARK_SCHEMA=all takes all of the former.
	most := os.Getenv("WAYMARK_SCHEMA") == "all"
	next, stop := iter.Pull(func(yield func(map[string]any) bool) {
		for _, original := range objects[len(objects)-everyKinds:] {
			for i := range len(seats(original["spec"])) {
				for j := 0; ; j++ {
					object := clone(t, original)
					all := replacements(seats(object["spec"])[i])
					if j >= len(all) {
						break
					}
					if all[j](); (most || random.IntN(20) == 0 && j < 80 || random.IntN(200) == 0) && !yield(object) {
						return
					}
				}
			}
		}
		for !most {
			object := clone(t, objects[random.IntN(len(objects))])
			if mutate(random, object["spec"].(map[string]any)); !yield(object) {
				return
			}
		}
	})
	defer stop()
	limit := 20 * time.Second
	if most {
		limit = 10 * time.Minute
	}
	compared, refused, wrong := 0, 0, map[string]int{}
	const least = 2500 // however slow the machine is
	for begin := time.Now(); (limit > 0 && compared < least || time.Since(begin) < limit) && (most || compared < 40_000); {
		var some []mutant
		var file bytes.Buffer
		for i := range perFile {
			object, ok := next()
			if !ok {
				limit = 0
				break
			}
			object["metadata"].(map[string]any)["name"] = fmt.Sprint("a", i)
			text := toJSON(t, object)
			some = append(some, mutant{text, object["kind"].(string)})
			file.Write(append(text, '\n'))
		}
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: &file}, version.All)
		found := map[string]diag.Findings{}
		for _, f := range in.Findings {
			if o, ok := f.About.(*resource.Object); ok {
				found[o.Name] = append(found[o.Name], f)
			}
		}
		for i, m := range some {
			errs, unknown := all[m.kind].refuses(t, m.text)
			ours := found[fmt.Sprint("a", i)]
			compared++
			if len(errs) > 0 || len(unknown) > 0 {
				refused++
			}
			problem := ""
			bySchema := slices.IndexFunc(ours, func(f diag.Finding) bool { return f.Severity == diag.Error && f.Code == resource.SchemaCode })
			switch {
			case len(errs) > 0 && !ours.HasErrors():
				problem = "accepted, and refused: " + errs[0].Field + ": " + errs[0].Detail
			case len(unknown) > 0 && len(ours) == 0:
				problem = "accepted, and removed: " + unknown[0]
			case len(errs) == 0 && bySchema >= 0:
				problem = "refused, and accepted: " + ours[bySchema].Field + ": " + ours[bySchema].Message
			}
			if problem != "" {
				key := m.kind + ": " + indexes.ReplaceAllString(problem, "[]")
				if wrong[key]++; wrong[key] == 1 && len(wrong) <= 40 {
					assert.Fail(t, key, "%.3000s\n%v", m.text, errs)
				}
			}
		}
	}
	t.Logf("%d mutants of %d objects compared, %d of them refused", compared, len(objects), refused)
	assert.GreaterOrEqual(t, compared, least)
	assert.Greater(t, refused, 1000)
}

var indexes = regexp.MustCompile(`\[\d+\]`)
