package envoy

import (
	"slices"

	"waymark.dev/waymark/plan"
)

// mostFiles bounds the instances of inotify that an Envoy needs for its files, as long as some of these can be joined. Envoy
// takes one for each file that it watches, also where several resources are in one, and one more for the certificates that
// a secret names. Linux gives a user 128, of which other programs need some, too.
const mostFiles = 96

// mostOutlierFiles bounds the files of endpoints, but for those of clusters with a warm-up.
const mostOutlierFiles = 32

// setJoined decides which endpoints and certificates are not resources of their own, but in the clusters and listeners that
// use them, which a change of them replaces. With a control plane, only endpoints that Envoy resolves are joined.
//
// Files are to be few, so most endpoints are with their clusters. They have a file where Envoy remembers something of each:
// a warm-up that began anew with every change would favour the new endpoint; that Envoy forgets which endpoints have failed
// is borne where these files would be too many.
//
// Where all files together would be too many, what changes least is joined first: certificates, so that a renewed one drains
// the connections of its filter chain; then the endpoints, those with a warm-up last. A certificate that is named by its own
// files keeps its secret, since Envoy reads it again only there.
func (b *builder) setJoined(p *plan.Plan) {
	b.joined = map[Key]bool{}
	join := func(keys ...Key) {
		for _, k := range keys {
			b.joined[k] = true
		}
	}
	var outliers, warming, contents []Key
	for _, c := range p.Clusters {
		switch k := (Key{EndpointType, c.Name}); {
		case c.Discovery != plan.Static:
			join(k)
		case b.Control != nil:
		case c.Warmup != nil:
			warming = append(warming, k)
		case c.Outlier != nil:
			outliers = append(outliers, k)
		default:
			join(k)
		}
	}
	if b.Control != nil {
		return
	}
	files := 2 // listeners and clusters
	for rc := range p.RouteConfigs() {
		if files++; b.strategies[rc].placed {
			files++ // the plugin configuration
		}
	}
	pairs, authorities := credentials(p)
	for _, c := range slices.Concat(pairs, authorities) {
		if k := (Key{SecretType, c.Name}); c.HasContent() {
			contents = append(contents, k)
		} else {
			files += 2
		}
	}
	if len(outliers) > mostOutlierFiles {
		join(outliers...)
		outliers = nil
	}
	files += len(contents) + len(outliers) + len(warming)
	for _, keys := range [][]Key{contents, outliers, warming} {
		if files > mostFiles {
			join(keys...)
			files -= len(keys)
		}
	}
}
