package main

// Packages whose tests have to notice what is wrong in another one: those without tests of their own are tested through the
// front door.
var (
	frontDoor = []string{"gateway"}
)

// table are the mistakes that matter.
var table = []mutant{
	// The engine: its cost.
	{"every rule is tried, whatever the request", "routing/indexer.go", "len(rules) > fewRules && divisions < maxDivisions", "false && divisions < maxDivisions", nil},
	{"a bucket is not divided again", "routing/indexer.go", "	maxDivisions = 8\n", "	maxDivisions = 1\n", nil},
	{"the filter of texts takes every place", "routing/search.go", "	return w.filter[bit>>6]>>(bit&63)&1 != 0\n", "	return w.filter[bit>>6]>>(bit&63)&1 < 2\n", nil},
	{"a bucket is visited again and again", "routing/search.go", "b.least >= r.best || r.visited[id] == r.decision || r.machine", "b.least >= r.best || r.machine", nil},
	{"every length of prefix is looked up", "routing/search.go", "l.last>>(value[n-1]&63)&1 == 0 || l.border", "false || l.border", nil},
	{"a long path is compared first", "routing/search.go", "const longPath = 64", "const longPath = 1 << 20", nil},
	{"a table makes an object for each rule", "routing/table.go", "const rowsPerChunk = 256", "const rowsPerChunk = 2", nil},
	{"a set of expressions is not asked at once", "routing/indexer.go", "	if e.set >= 0 {\n", "	if e.set >= 1<<30 {\n", nil},
	{"steps are not bounded", "routing/program.go", "	return m.spent <= MaxWork || m.unbounded\n", "	return true\n", nil},
	{"what is given up is not told", "routing/decide.go", "		d.Exhausted = true\n", "", nil},
	{"the steps of an earlier request count", "routing/decide.go", "	r.machine.spent = 0\n", "", nil},

	// The engine: one Request with two Tables in turn.
	{"virtual hosts of another table are remembered", "routing/request.go", "	if r.recentOf != t {\n", "	if r.recentOf == nil {\n", nil},
	{"what is remembered is not forgotten with its table", "routing/request.go", "		clear(r.recent[:])\n", "", nil},
	{"decisions have one number", "routing/request.go", "	r.decision++\n", "	r.decision = 1\n", nil},
	{"the memory for names does not grow", "routing/request.go", "len(r.heads) < int(t.names.names.count) || ", "", nil},
	{"the memory for buckets does not grow", "routing/request.go", " || len(r.visited) < len(t.index.buckets)", "", nil},
	{"a request that was emptied still has its pseudo-headers", "routing/request.go", "	r.HasMethod, r.HasScheme, r.HasAuthority, r.HasPath = false, false, false, false\n", "", nil},
	{"the first rule has no name", "routing/table.go", "	if d.Rule < 0 {\n", "	if d.Rule <= 0 {\n", nil},
	{"fields of an earlier decision stay", "routing/request.go", "	r.fields, r.joined = r.fields[:0], r.joined[:0]\n", "	r.joined = r.joined[:0]\n", nil},
	{"fields of an earlier decision are the first", "routing/request.go", "	if h := &r.heads[subject]; h.decision == r.decision {\n", "	if h := &r.heads[subject]; h.decision > 0 {\n", nil},

	// The engine: what it decides.
	{"a later rule is taken", "routing/search.go", "		if entries[i].rule >= r.best {\n", "		if entries[i].rule > r.best+1000 {\n", nil},
	{"a rule behind a key is not checked", "routing/search.go", "u < r.best && t.rules.at(u).matches(t, r, 0)", "u < r.best", nil},
	{"the last condition is not checked", "routing/search.go", "	for i := ru.from; i < ru.to; i++ {\n", "	for i := ru.from; i < ru.to-1; i++ {\n", nil},
	{"an inverted condition narrows", "routing/condition.go", "return !c.invert && !c.missingAsEmpty", "return !c.missingAsEmpty", nil},
	{"a missing header is as empty", "routing/condition.go", "		if c.kind == matchAny || !c.missingAsEmpty {\n", "		if c.kind == matchAny {\n", nil},
	{"a separated prefix ends anywhere", "routing/condition.go", "c.kind == matchSeparated && len(s) > n && s[n] != '/'", "c.kind == matchSeparated && len(s) > n && s[n] == 0", nil},
	{"the fragment is part of the path", "routing/request.go", "path[:indexEither(path, '?', '#')]", "path[:indexEither(path, '?', '?')]", nil},
	{"the last parameter of a name counts", "routing/request.go", "subject >= 0 && r.first(subject) < 0 {", "subject >= 0 {", nil},
	{"a suffix takes the domain itself", "routing/hostindex.go", "		if int(n) >= len(host) {", "		if int(n) > len(host) {", nil},
	{"the shortest suffix is taken", "routing/hostindex.go", "return cmp.Compare(b, a) })", "return cmp.Compare(a, b) })", nil},
	{"the port of an authority counts", "routing/hostindex.go", "	return authority[:colon]\n", "	return authority\n", nil},
	{"values of a repeated header are not joined", "routing/request.go", "	if repeated && t.joined {\n", "	if repeated && !t.joined {\n", nil},
	{"a fault strikes always", "routing/decide.go", "		x.fault.strike(d, dice)\n", "		x.fault.strike(d, Dice{})\n", nil},
	{"the first share is always taken", "routing/decide.go", "x.split.pick(&t.shares, dice.Split)", "x.split.pick(&t.shares, 0)", nil},
	{"escapes of JSON are read beyond the end", "routing/reader.go", "	if d.at+4 <= len(d.text) {\n", "	if d.at+4 <= len(d.text)+4 {\n", nil},
	{"escapes of JSON are refused", "routing/reader.go", "	if d.at+4 <= len(d.text) {\n", "	if d.at+4 > len(d.text) {\n", nil},
	{"a duplicate key is taken", "routing/reader.go", "			twice = twice || s == key\n", "			_, _ = s, twice\n", nil},

	// The translator: its cost, and what it refuses.
	{"a long line is measured for each finding in it", "diag/excerpt.go", "	known, ok := l.shown[number]\n", "	known, ok := l.shown[-1]\n", frontDoor},
	{"rules are not bounded", "istio/translate/bounds.go", "	return b.n <= b.most\n", "	return true\n", nil},
	{"too much is told each time", "istio/translate/bounds.go", "	if fits && b.n > b.most {\n", "	if (fits || !fits) && b.n > b.most {\n", nil},
	{"too much is told one too late", "istio/translate/bounds.go", "	if fits && b.n > b.most {\n", "	if fits && b.n > b.most+1 {\n", nil},

	// The command line: when files are read.
	{"files are read while they are written", "cmd/waymark/settle.go", "	return time.Since(s.since) >= s.quiet\n", "	return true\n", nil},
	{"a change while files are read is not noticed", "cmd/waymark/settle.go", "	return s.look().digest == s.last.digest\n", "	return true\n", nil},
	{"files that were seen to change are not waited for", "cmd/waymark/settle.go", "	if changed {\n", "	if false {\n", nil},
	{"a set that never settles is not told", "cmd/waymark/settle.go", "			told()\n", "", nil},
	{"a failure is not tried again", "cmd/waymark/run.go", "			again = time.Now().Add(pause)\n", "", nil},
	{"a failure is tried again while files are written", "cmd/waymark/run.go", "due := settled && !again", "due := !again", nil},
	{"the same failure is told each time", "cmd/waymark/run.go", "changed || !slices.Equal(notes, said)", "true || !slices.Equal(notes, said)", nil},

	// Ids of outcomes.
	{"faults are in the id", "plan/hashed.go", "RequestHeaders: r.RequestHeaders, Resp", "Fault: r.Fault, RequestHeaders: r.RequestHeaders, Resp", nil},
	{"weights are in the id", "plan/hashed.go", "		chosen.Weight = 0\n", "", nil},
	{"the place in a file is in the id", "plan/hashed.go", "MatchIndex: -1, Name: r.Name,", "MatchIndex: -1, Name: r.Name, Source: r.Source,", nil},
	{"the other destinations are in the id", "plan/hashed.go", "		route.Destinations = []Destination{chosen}\n", "		route.Destinations[destination] = chosen\n", nil},
	{"claims are not in the id", "plan/hashed.go", "	for _, c := range r.Match.Claims {\n", "	for _, c := range r.Match.Claims[:0] {\n", nil},
	{"the delegate is not in the id", "plan/hashed.go", "		out.Delegate = r.Origin.Key()\n", "", nil},
	{"origins of CORS are not in the id", "plan/hashed.go", "	if c := r.CORS; c != nil {\n", "	if c := r.CORS; c != nil && len(c.AllowOrigins) == 0 {\n", nil},
	{"absent claims change every id", "plan/hashed.go", "[]hashedClaim `json:\",omitempty\"`", "[]hashedClaim", nil},
	{"a field has another name", "plan/hashed.go", "	AllowCredentialsSet                       bool\n", "	AllowCredentialsSet                       bool `json:\"credentialsSet\"`\n", nil},
	{"content of a Secret is not written", "plan/tls.go", "return c.Cert != nil || c.CA != nil", "return c.CA != nil", nil},
	{"ids are shorter", "plan/seal.go", "const idLength = 12", "const idLength = 11", nil},
	{"a destination without weight is an outcome", "plan/seal.go", "		if d.Weight > 0 {\n", "		{\n", nil},
	{"outcomes are added at each sealing", "plan/seal.go", "	r.Outcomes = nil\n", "", nil},
	{"equal ids of different outcomes are not noticed", "plan/ids.go", "ok && other.sum != o.sum", "ok && other.sum == [32]byte{1}", nil},
	{"equal outcomes are refused", "plan/ids.go", "ok && other.sum != o.sum", "ok", nil},
	{"a name ends a line of a log", "plan/seal.go", "	return diag.Printable(r.String() + \":\" + r.Name)\n", "	return r.String() + \":\" + r.Name\n", nil},
	{"rules of shared chains are visited again", "plan/plan.go", "					if seen[r] {\n", "					if false {\n", nil},

	// Reading: aliases, hidden files.
	{"nodes of aliases are not bounded", "istio/resource/yaml.go", "e.aliases.nodes > maxAliasNodes || ", "", frontDoor},
	{"bytes of aliases are not bounded", "istio/resource/yaml.go", " || e.aliases.bytes > maxAliasBytes", "", frontDoor},
	{"an alias may be in itself", "istio/resource/yaml.go", "		case ok && known.nodes == 0:\n			return size{}, errItself\n", "", frontDoor},
	{"hidden files and folders are read", "istio/resource/files.go", "		if strings.HasPrefix(name, \".\") {\n			continue\n		}\n", "", nil},
	{"files of other kinds are read", "istio/resource/files.go", "!slices.Contains([]string{\".yaml\", \".yml\", \".json\", \".jsonc\"}, filepath.Ext(name))", "slices.Contains([]string{}, name)", nil},
	{"bytes of all files are not added", "istio/resource/files.go", "if r.read += int64(len(text)); r.read", "if r.read = int64(len(text)); r.read", nil},
	{"lines of Secrets are shown", "istio/resource/read.go", "		r.input.Texts.Hide(doc.source.file, first, last)\n", "		_, _ = first, last\n", nil},
	{"an object without namespace has none", "istio/resource/read.go", "	if o.Namespace == \"\" && !kind.clusterScoped {\n		o.Namespace = r.options.DefaultNamespace\n	}\n", "", nil},
	{"a placeholder of a Secret has its default", "istio/resource/read.go", "		placeholder = withoutValue(placeholder)\n", "", nil},
	{"values of Secrets are in messages", "istio/resource/decode.go", "	s.secret = o.Kind == \"Secret\"\n", "", nil},
	{"a placeholder hides every mistake", "istio/resource/read.go", "if _, _, err = r.converter.json(&words); err == nil {", "if _, _, err = r.converter.json(&words); true {", nil},
	{"any version is read", "istio/resource/read.go", "!known || !kind.versions[version]", "!known", nil},

	// Translating: order, and who sees what.
	{"younger objects come first", "istio/translate/order.go", "return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name)", "return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.Name, b.Name)", nil},
	{"the namespace decides before the name", "istio/translate/order.go", "strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))\n}", "strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))\n}", nil},
	{"private objects do not come first", "istio/translate/order.go", "return cmp.Or(cmp.Compare(rank[a], rank[b]), compareBool", "return cmp.Or(compareBool", frontDoor},
	{"catch-all rules stay in their place", "istio/translate/order.go", "		if !isCatchAll(&r.Match) {\n", "		if r != nil {\n", frontDoor},
	{"a condition on a claim takes everything", "istio/translate/order.go", "len(m.Query) > 0 || len(m.Claims) > 0 {", "len(m.Query) > 0 {", nil},
	{"wildcards come first", "istio/translate/order.go", "compareBool(names.IsWildcard(a), names.IsWildcard(b))", "compareBool(names.IsWildcard(b), names.IsWildcard(a))", frontDoor},
	{"what is not exported is used", "istio/names/visibility.go", "			return Hidden\n", "			return Public\n", nil},
	{"a delegate is used from everywhere", "istio/translate/delegate.go", "if !ok || names.VisibilityTo(root.Namespace, d.Namespace, d.Spec.ExportTo) == names.Hidden {", "if !ok || names.VisibilityTo(root.Namespace, d.Namespace, nil) == names.Hidden {", frontDoor},
	{"delegates delegate", "istio/translate/delegate.go", "		if sub.GetDelegate() != nil {\n", "		if false {\n", nil},
	{"a wildcard takes its own suffix", "istio/names/host.go", "		return len(a) >= len(b) && strings.HasSuffix(a[1:], suffix)\n", "		return strings.HasSuffix(a, suffix[1:])\n", []string{"istio/names", "gateway"}},
	{"hosts of another namespace are used", "istio/names/host.go", "case ns == namespace || ns == \"*\":", "case ns != namespace+\"/\":", nil},
	{"a name with a dot is expanded", "istio/names/host.go", "name == \"\" || strings.Contains(name, \".\")", "name == \"\"", frontDoor},
	{"a VirtualService without gateways is for all", "istio/names/host.go", "		return []string{MeshGateway}\n", "		return nil\n", frontDoor},
	{"mirrors are not resolved", "istio/translate/resolve.go", "	out = append(out, rule.GetMirror())\n", "", frontDoor},

	// A change, make before break.
	{"old clusters go at once", "envoy/sequence.go", "	both := mergeClusters(old.OfType(ClusterType), next.OfType(ClusterType))\n", "	both := mergeClusters(nil, next.OfType(ClusterType))\n", nil},
	{"the old one of two clusters counts", "envoy/sequence.go", "	for _, c := range next {\n		known[c.Key] = true\n	}\n	return slices.Concat(next, slices.DeleteFunc(slices.Clone(old),", "	for _, c := range old {\n		known[c.Key] = true\n	}\n	old, next = next, old\n	return slices.Concat(next, slices.DeleteFunc(slices.Clone(old),", nil},
	{"old outcomes go at once", "envoy/sequence.go", "				addOutcomes(o, h)\n", "", nil},
	{"old outcomes take the place of new ones", "envoy/sequence.go", "		if outcomes(to)[id] == nil {\n", "		if true {\n", nil},
	{"the merged routes are made of the new ones themselves", "envoy/sequence.go", "	out := proto.CloneOf(next)\n", "	out := next\n", nil},
	{"domains of the old routes go at once", "envoy/sequence.go", "		if len(left) > 0 {\n", "		if false {\n", nil},
	{"a kept virtual host keeps all of its domains", "envoy/sequence.go", "			kept.Domains = left\n", "", nil},
	{"two virtual hosts have one name", "envoy/sequence.go", "			for names[kept.Name] {\n", "			for false {\n", nil},
	{"the name of a kept virtual host is not noted", "envoy/sequence.go", "			names[kept.Name] = true\n", "", nil},
	{"a name is changed once only", "envoy/sequence.go", "			for names[kept.Name] {\n", "			if names[kept.Name] {\n", nil},
	{"a host that the filter decides for from now on has no fallback", "envoy/sequence.go", "				fallBack(o, h)\n", "", nil},
	{"a fallback takes the place of another", "envoy/sequence.go", "	if upgrades.OnNoMatch != nil {\n", "	if false {\n", nil},
	{"a host that Envoy matches gets outcomes", "envoy/sequence.go", "			case outcomes(o) == nil: // matched by Envoy\n", "			case false:\n", nil},
	{"routes come before clusters", "envoy/sequence.go", "		{Kind: Clusters, Set: whole(old.OfType(ClusterType), both)},\n		{Kind: Routes, Set: merged},\n", "		{Kind: Routes, Set: merged},\n		{Kind: Clusters, Set: whole(old.OfType(ClusterType), both)},\n", nil},
	{"merged routes are never cleaned", "envoy/sequence.go", "		if !proto.Equal(during, r.Message) {\n", "		if false {\n", nil},

	// The folder of files.
	{"nothing is removed", "envoy/files/files.go", "	return d.removeOthers(known)\n", "	return nil\n", nil},
	{"files of somebody else are removed", "envoy/files/files.go", "		if known[path] || !written(path, full) {\n", "		if known[path] {\n", nil},
	{"files that are known are removed", "envoy/files/files.go", "		if known[path] || !written(path, full) {\n", "		if !written(path, full) {\n", nil},
	{"a file is removed by its name alone", "envoy/files/files.go", "	return err == nil && envoy.Path(onlyKey(text)) == path\n", "	return err == nil && text != nil\n", nil},
	{"files that were to be renamed stay", "envoy/files/files.go", "		return inner == envoy.BootstrapFile || envoy.IsPath(inner)\n", "		return false\n", nil},
	{"any file that was to be renamed is removed", "envoy/files/files.go", "		return inner == envoy.BootstrapFile || envoy.IsPath(inner)\n", "		return true\n", nil},
	{"links are followed", "envoy/files/files.go", "		if !entry.Type().IsRegular() {\n", "		if entry.IsDir() {\n", nil},
	{"a removal is not told", "envoy/files/files.go", "		if d.Changed != nil {\n			d.Changed(path)\n		}\n		return os.Remove", "		return os.Remove", nil},
	{"a file is removed before a refusal is known", "envoy/files/files.go", "	for _, b := range all {\n		if err := d.write", "	if err := d.removeOthers(known); err != nil {\n		return err\n	}\n	for _, b := range all {\n		if err := d.write", nil},
	{"what is refused stays", "envoy/files/undo.go", "			all = errors.Join(all, d.restore(f.Path, e.before))\n		}", "			all = errors.Join(all, ctx.Err())\n			_ = f\n		}", nil},
	{"steps are undone from the first on", "envoy/files/undo.go", "range slices.Backward(d.done) {", "range slices.All(d.done) {", nil},
	{"a file that was not there stays", "envoy/files/undo.go", "	return ignoreMissing(os.Remove(filepath.Join(d.Path, path)))\n", "	_, _ = os.Remove, filepath.Join\n	return nil\n", nil},
	{"a file is written in place", "envoy/files/write.go", "	beside := filepath.Join(filepath.Dir(full), besideName(filepath.Base(full)))\n", "	beside := full\n", nil},
	{"a new file has not its mode", "envoy/files/write.go", "		err = d.permit(path, beside)\n", "", nil},
	{"clusters that are warming are not waited for", "envoy/files/admin.go", "stats[\"cluster_manager.warming_clusters\"] > 0", "stats[\"cluster_manager.warming_clusters\"] > 9", nil},
	{"clusters are waited for that are not warming", "envoy/files/admin.go", "stats[\"cluster_manager.warming_clusters\"] > 0", "stats[\"cluster_manager.warming_clusters\"] >= 0", nil},
	{"everybody may read the files", "envoy/files/write.go", "		return 0o600\n", "		return 0o644\n", nil},

	// Strategies.
	{"a rule with a claim is left to the filter", "envoy/auto.go", "		if len(r.Match.Claims) > 0 {\n", "		if false {\n", nil},
	{"a costly rule is left to the filter", "envoy/auto.go", "	return pluginconfig.TooCostly(h, o.Behaviour())\n", "	return \"\"\n", nil},
	{"the filter is asked for claims", "envoy/auto.go", "else if why := listAlone(h, o); why != \"\" {\n", "else if why := \"\"; why != \"\" {\n", nil},
	{"one Envoy that refuses is enough", "istio/validate/validate.go", "case newest != nil && oldest != nil:", "case newest != nil:", []string{"gateway"}},
	{"an expression is held against the newest Envoy alone", "istio/validate/validate.go", "refusal(pattern, v.Envoys.From)", "refusal(pattern, v.Envoys.To)", []string{"gateway"}},
	{"an interval is written for every Envoy", "envoy/cluster.go", "minor >= version.RetryBudgetInterval {", "minor > 0 && version.RetryBudgetInterval > 0 {", nil},
	{"a tree takes rules that match on more than a path", "envoy/tree.go", "case len(r.Match.Headers)+len(r.Match.Query)+len(r.Match.Claims) > 0:", "case false:", nil},
	{"a tree takes a prefix behind a shorter one", "envoy/tree.go", "			if covered(prefix) {\n				continue\n			}\n", "", nil},
	{"a virtual host that Envoy matches is in the filter's configuration", "envoy/auto.go", "		if s.of[h] == StrategyFilter {\n", "		if true {\n", nil},
}
