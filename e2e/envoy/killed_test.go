package envoy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
)

// applyKilled begins to roll resources out, in a process that ends after some files were written, without a chance to put
// anything back. It reports whether there were so many.
func (r *rolling) applyKilled(next *envoy.Resources, written int) (killed bool) {
	killed = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := &files.Dir{Path: r.dir, Watcher: r.watcher(), Changed: func(string) {
			if written--; written == 0 {
				runtime.Goexit()
			}
		}}
		_ = d.Apply(context.Background(), next) // what Envoy refuses
		killed = false
	}()
	<-done
	return killed
}

func (r *rolling) watcher() *files.Admin {
	return &files.Admin{Ask: r.envoy.Admin}
}

func (r *rolling) kill(t *testing.T) {
	require.NoError(t, syscall.Kill(r.envoy.PID(), syscall.SIGKILL)) // ours, by its id
	<-r.envoy.Done()
}

// TestEveryMomentOfAChange ends the process that makes a change after each file that it writes, and Envoy too. Envoy starts
// again from the files as they are, and answers by the rules of before or after; the next change is taken.
func TestEveryMomentOfAChange(t *testing.T) {
	r := startRolling(t, defaultEnvoy(t))
	g, moments := generation{}, 0
	r.apply(t, g)
	serves := func(from, to generation) {
		t.Helper()
		c := r.client()
		defer c.close()
		for _, path := range []string{"/rule", "/stable", "/endpoint", "/split/1", "/split/2"} {
			got, err := c.retry(request(path, nil))
			assert.Empty(t, judge(path, got, err, from, to), "after %d files", moments)
		}
		name, err := r.handshake()
		assert.Empty(t, judgeCertificate(name, err, from, to), "after %d files", moments)
	}
	for moments = 1; ; moments++ {
		next := generation{rule: g.rule + 1, endpoint: g.endpoint + 1, destination: g.destination + 1, certificate: g.certificate + 1}
		killed := r.applyKilled(r.files(t, next), moments)
		serves(g, next)
		r.kill(t)
		r.start(t)
		serves(g, next)
		r.apply(t, next)
		serves(next, next)
		g = next
		if !killed {
			break
		}
	}
	assert.Greater(t, moments, 8, "certificate, clusters, routes and plugin configurations of two listeners, and the cleanup")
}

// TestKilledBeforeARefusal ends the process that makes a change just after it has written what Envoy refuses. The next one
// puts that back, is not merged with it, and brings its own change.
func TestKilledBeforeARefusal(t *testing.T) {
	r := startRolling(t, defaultEnvoy(t))
	g := generation{}
	r.apply(t, g)
	kinds := maps.Clone(spoil)
	kinds["an outcome"] = spoilOutcome // which a merge keeps
	for kind, change := range kinds {
		t.Run(kind, func(t *testing.T) {
			for written := 1; ; written++ {
				after := func(n int) generation {
					return generation{rule: g.rule + n, endpoint: g.endpoint + n, destination: g.destination + n, certificate: g.certificate + n}
				}
				bad, next := r.files(t, after(1)), after(2)
				change(t, bad)
				killed := r.applyKilled(bad, written)
				r.apply(t, next)
				c := r.client()
				for _, path := range []string{"/rule", "/stable", "/endpoint", "/split/1"} {
					got, err := c.retry(request(path, nil))
					assert.Empty(t, judge(path, got, err, next, next), "after %d files", written)
				}
				c.close()
				g = next
				if !killed {
					break
				}
			}
		})
	}
}

// spoilOutcome makes Envoy refuse one outcome of each virtual host.
func spoilOutcome(t *testing.T, r *envoy.Resources) {
	bad, err := anypb.New(&routev3.Route{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "("}}},
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 200}},
	})
	require.NoError(t, err)
	for _, rc := range r.OfType(envoy.RouteType) {
		for _, h := range rc.Message.(*routev3.RouteConfiguration).VirtualHosts {
			h.Matcher.GetMatcherTree().GetExactMatchMap().Map["refused"] = &xdsmatcherv3.Matcher_OnMatch{
				OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{Action: &xdscorev3.TypedExtensionConfig{Name: "route", TypedConfig: bad}},
			}
		}
	}
}

// dynamic is a folder of files, and the command that writes them.
type dynamic struct {
	dir, rules string
	port       uint32
	args       []string
}

func newDynamic(t *testing.T, more ...string) *dynamic {
	ports, err := process.FreePorts(2)
	require.NoError(t, err)
	d := &dynamic{dir: filepath.Join(t.TempDir(), "envoy"), port: ports[0]}
	d.rules = resources.RulesFile(t, "")
	d.args = append([]string{"translate", "-f", d.rules, "--dynamic", d.dir, "--admin-port", fmt.Sprint(ports[1]), "--envoy-version", defaultEnvoy(t).Version}, more...)
	d.answering(t, 200)
	return d
}

// answering writes rules that answer everything with a status.
func (d *dynamic) answering(t *testing.T, status int) {
	resources.RenameInto(t, d.rules, strings.NewReplacer("number: 80,", fmt.Sprintf("number: %d,", d.port), "status: 200", fmt.Sprintf("status: %d", status)).Replace(resources.AllowAll))
}

func (d *dynamic) translate(t *testing.T, more ...string) (stderr string, status int) {
	_, stderr, status = program.Run(t, "", append(d.args, more...)...)
	return stderr, status
}

// start starts the Envoy of the folder as its user would.
func (d *dynamic) start(t *testing.T) *exec.Cmd {
	c := d.startEnvoy(t)
	d.serves(t, 200)
	return c
}

func (d *dynamic) startEnvoy(t *testing.T) *exec.Cmd {
	c := exec.Command(defaultEnvoy(t).Path, "-c", filepath.Join(d.dir, envoy.BootstrapFile), "--disable-hot-restart", "--concurrency", "1", "-l", "error")
	c.Stderr = os.Stderr
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill() // ours, by its id; it may have been killed
		_ = c.Wait()
	})
	return c
}

func (d *dynamic) status() int {
	q, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", d.port), nil)
	if err != nil {
		return 0
	}
	q.Host = "a.test"
	response, err := program.HTTPClient.Do(q)
	if err != nil {
		return 0
	}
	_ = response.Body.Close() // it was not read
	return response.StatusCode
}

func (d *dynamic) serves(t *testing.T, status int) {
	t.Helper()
	assert.Eventually(t, func() bool { return d.status() == status }, 20*time.Second, 20*time.Millisecond)
}

// TestTheAdminInterfaceOfTheFolder asks the Envoy that the folder's bootstrap names, says where none runs, and does not take
// another one for it.
func TestTheAdminInterfaceOfTheFolder(t *testing.T) {
	d := newDynamic(t)
	stderr, status := d.translate(t)
	require.Zero(t, status, stderr)
	assert.NotContains(t, stderr, "no Envoy answers", "the first time none can run")

	d.answering(t, 201)
	stderr, status = d.translate(t)
	require.Zero(t, status, stderr)
	assert.Contains(t, stderr, "notice: no Envoy answers at 127.0.0.1:")
	assert.Contains(t, stderr, "so none is running: the files are written as they should be in the end")
	d.answering(t, 200)
	stderr, status = d.translate(t, "--pause", "0s")
	require.Zero(t, status, stderr)
	assert.NotContains(t, stderr, "no Envoy answers", "none is asked")

	c := d.start(t)
	d.answering(t, 202)
	begun := time.Now()
	stderr, status = d.translate(t)
	require.Zero(t, status, stderr)
	assert.Equal(t, 202, d.status(), "Envoy has it when the command ends")
	assert.NotContains(t, stderr, "notice")
	assert.Less(t, time.Since(begun), 10*time.Second)

	// The next bootstrap names another address, and this Envoy is still where it was.
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	for i, status := range []int{203, 206} {
		d.answering(t, status)
		stderr, exit := d.translate(t, "--admin-port", fmt.Sprint(ports[0]))
		require.Zero(t, exit, stderr)
		assert.Equal(t, status, d.status(), "%d", i)
		assert.NotContains(t, stderr, "notice")
	}

	other := newDynamic(t, "--admin-port", d.args[6])
	stderr, status = other.translate(t)
	require.Zero(t, status, stderr)
	before := contents(t, other.dir)
	other.answering(t, 201)
	stderr, status = other.translate(t)
	assert.Equal(t, 65, status)
	assert.Contains(t, stderr, "127.0.0.1:"+d.args[6]+": an Envoy answers there that reads "+filepath.Join(d.dir, envoy.ClustersFile)+" and "+filepath.Join(d.dir, envoy.ListenersFile))
	assert.Equal(t, before, contents(t, other.dir))

	require.NoError(t, c.Process.Kill()) // ours, by its id
	_ = c.Wait()
	stderr, status = d.translate(t, "--admin", "127.0.0.1:"+d.args[6])
	assert.Equal(t, 65, status)
	assert.Contains(t, stderr, "--admin 127.0.0.1:"+d.args[6]+": ")
	stderr, status = d.translate(t, "--admin", "127.0.0.1:1", "--pause", "1s")
	assert.Equal(t, 64, status, stderr)
}

// TestTranslateIsKilled kills the command with SIGKILL between two steps. Envoy goes on, starts again from the files, and
// the next command puts back what was not finished before it brings its own change.
func TestTranslateIsKilled(t *testing.T) {
	d := newDynamic(t)
	stderr, status := d.translate(t)
	require.Zero(t, status, stderr)
	c := d.start(t)
	d.answering(t, 201)
	path, err := program.Path()
	require.NoError(t, err)
	killed := exec.Command(path, append(d.args, "--pause", "1m")...)
	printed, err := killed.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, killed.Start())
	first, err := bufio.NewReader(printed).ReadString('\n')
	require.NoError(t, err)
	assert.Regexp(t, "^(routes|plugins|clusters|secrets)", first)
	require.NoError(t, killed.Process.Kill()) // ours, by its id
	require.Error(t, killed.Wait())
	var left struct{ Done bool }
	text, err := os.ReadFile(filepath.Join(d.dir, ".state.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &left))
	assert.False(t, left.Done)
	assert.Contains(t, []int{200, 201}, d.status())

	require.NoError(t, c.Process.Kill()) // ours, by its id
	_ = c.Wait()
	d.start(t)
	d.answering(t, 206)
	stderr, status = d.translate(t)
	require.Zero(t, status, stderr)
	assert.Contains(t, stderr, "was not finished; the files before it are put back first")
	assert.Equal(t, 206, d.status())
	assert.NoFileExists(t, filepath.Join(d.dir, ".state.json"))
	assert.NoDirExists(t, filepath.Join(d.dir, ".before"))
}
