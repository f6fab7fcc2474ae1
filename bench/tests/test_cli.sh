#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line as a user meets it: messages, exit codes, and what goes to
# stdout and what to stderr. Every mistake must give one line on stderr,
# nothing on stdout, and exit 2 (or 4 where the thing is known but cannot be
# had here). Runs are made by hand (compare, report), or of one tiny cell.
#
# usage: DPAMT=build/dpamt bench/tests/test_cli.sh	(from the root of the tree)

set -u

dpamt=$(realpath "${DPAMT:-build/dpamt}")
tree=$(realpath "$(dirname "$0")/../..")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/test_cli.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tree" || exit 1

passed=0
failed=0
code=0
out=
err=

ok() # WHAT
{
	passed=$((passed + 1))
}

fail() # WHAT
{
	failed=$((failed + 1))
	echo "test_cli.sh: FAIL $1"
	echo "	code $code, stdout: ${out:0:300}"
	echo "	stderr: ${err:0:500}"
}

check() # WHAT CONDITION..
{
	local what=$1

	shift
	if "$@"; then ok; else fail "$what"; fi
}

# Run dpamt; its exit code, stdout and stderr in $code, $out, $err.
run()
{
	last="dpamt $*"
	"$dpamt" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
}

contains() # TEXT PART
{
	[[ $1 == *"$2"* ]]
}

# A mistake: CODE, what its one line must contain, then the arguments.
refuse()
{
	local want=$1 part=$2

	shift 2
	run "$@"
	if [ "$code" = "$want" ] && [ ! -s "$tmp/out" ] && contains "$err" "$part" &&
		[ "$(wc -l <"$tmp/err")" = 1 ] && contains "$err" "dpamt: "; then
		ok
	else
		fail "$last: want code $want, one line with \"$part\", nothing on stdout"
	fi
}

# A success: what stdout must contain, then the arguments.
accept()
{
	local part=$1

	shift
	run "$@"
	if [ "$code" = 0 ] && contains "$out" "$part"; then
		ok
	else
		fail "$last: want code 0 and \"$part\" on stdout"
	fi
}

is_json()
{
	python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1" 2>/dev/null
}

verbs="list run check explore simulate calibrate compare report help"
cpus=$(nproc)

test_verbs()
{
	local verb

	run
	check "no verb: usage on stderr, exit 2" [ "$code" = 2 -a ! -s "$tmp/out" -a -s "$tmp/err" ]
	accept "usage: dpamt" --help
	accept "usage: dpamt" help
	for verb in $verbs; do
		check "help: a blank behind $verb" contains "$out" $'\n'"  $verb "
	done
	accept "dpamt " --version
	for verb in $verbs; do
		accept "usage: dpamt $verb" "$verb" --help
		check "$verb --help: nothing on stderr" [ ! -s "$tmp/err" ]
		accept "usage: dpamt $verb" help "$verb"
		contains "$out" "--help" || fail "$verb --help lists options"
	done
	refuse 2 'unknown verb "lst"; did you mean list? valid: list, run' lst
	refuse 2 'unknown verb "zzzzzzzz"; valid: list, run, check' zzzzzzzz
	refuse 2 'unknown verb "--quiet"' --quiet
	refuse 2 'did you mean run?' help rnu
	# what is not there yet is not listed
	run --help
	contains "$out" fleet && fail "help lists a verb that does not exist"
	ok
}

test_options()
{
	refuse 2 'unknown option "--stratgy"; did you mean --strategy?' run --stratgy null
	refuse 2 'unknown option "-x"' run -x
	refuse 2 '--runs needs a value: N' run --runs
	refuse 2 '--runs needs a value: N' run --runs --quiet
	refuse 2 '--quiet takes no value' run --quiet=yes
	refuse 2 'list: --runs is an option of: run' list --runs 3
	refuse 2 'unexpected argument "foo"' run foo
	refuse 2 'unexpected argument "c"' compare a b c
	refuse 2 'unexpected argument "--quiet"' run -- --quiet
	# both spellings, and the last one wins
	accept "null" run --strategy=help
	accept "null" run --strategy help
	refuse 2 '--runs: "0"' run --runs 8 --runs=0
	accept '"name": "model"' list executors --format text --format=json
}

test_values()
{
	local value

	refuse 2 '--strategy: unknown strategy "foo"; valid: null, static, global' \
		run --strategy foo
	refuse 2 'unknown strategy "fo"' run --strategy null,fo
	refuse 2 'unknown strategy ""' run --strategy=
	refuse 2 'unknown strategy "Null"' check --strategy Null
	refuse 2 '--workload: unknown workload "nope"; valid: boot-10x16g, conversion-storm' \
		run --workload nope --dry-run
	refuse 2 "$tmp/none.wl: No such file" run --workload "$tmp/none.wl" --dry-run
	refuse 2 '--machine: unknown machine "nope"; valid: ' run --machine nope --dry-run
	refuse 2 '--on: unknown executor "nope"; valid: model' run --on nope
	refuse 4 '--strategy: v3 runs under explore only, not under run: ' run --strategy v3 --dry-run
	for value in "" --measured --sweep=vcpus=1; do
		# shellcheck disable=SC2086
		refuse 4 '--strategy: v3 runs under explore only, not under simulate: ' \
			simulate $value --strategy lockless,v3 --dry-run
	done
	refuse 4 '--measured: controls touch nothing' simulate --measured --strategy null,static
	for value in hw explore; do
		refuse 4 "--on: $value is not built yet: " run --on "$value"
		refuse 4 "valid: model" run --on "$value"
	done
	refuse 2 '--format: unknown format "xml"; valid: text, json, csv, markdown' \
		report --format xml
	refuse 2 '--baseline: unknown strategy "x"' compare --baseline x
	for value in 0 -1 x 1.5 99999999999999999999 "" " 1"; do
		refuse 2 "--runs: \"$value\" is not a number from 1 to" run --runs "$value"
	done
	for value in 3/4 0 1/0 x 2 1/; do
		refuse 2 "--scale: \"$value\" is no scale" run --scale "$value"
	done
	for value in x -1 101 nan inf 0x10 "2 %" ""; do
		refuse 2 "--margin: \"$value\" is not a percentage" compare --margin "$value"
	done
	for value in a =b; do
		refuse 2 '--set: "'"$value"'"; valid: KEY=VALUE' run --set "$value"
	done
	refuse 2 '--out: ""' run --out=
	refuse 2 "is not a number from" run --seed -1
	# control characters of the input do not reach the terminal
	run run --strategy $'a\e[31m'
	check "no escape sequence in a message" [ "$(tr -d '\n\40-\176' <"$tmp/err" | wc -c)" = 0 ]
}

test_threads()
{
	refuse 2 "the CPUs present: $cpus (" run --threads $((cpus + 1)) --dry-run
	refuse 2 "--on sim" run --threads 4096 --dry-run
	refuse 2 "--threads: not with --on sim: a simulated machine has the CPUs of its" \
		run --on sim --threads 4 --dry-run
	if command -v taskset >/dev/null && [ "$cpus" -gt 1 ]; then
		local cpu

		cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
		taskset -c "$cpu" "$dpamt" run --threads 2 --dry-run >"$tmp/out" 2>"$tmp/err"
		check "the affinity mask limits --threads" \
			[ $? = 2 -a "$(grep -c "present: 1 ($cpu)" "$tmp/err")" = 1 ]
	fi
}

test_lists()
{
	local name

	for name in strategies workloads machines executors metrics; do
		accept "" list "$name"
		check "list $name: more than one line or a name" [ -s "$tmp/out" ]
		accept "\"$name\"" list "$name" --format json
		check "list $name --format json is JSON" is_json "$tmp/out"
		accept "$name," list "$name" --format csv
		accept "| $name |" list "$name" --format markdown
	done
	accept "lockless" list
	accept "fault-storm" list
	accept "fault_p99_ns" list
	check "list: nothing on stderr" [ ! -s "$tmp/err" ]
	refuse 2 'unknown list "metric"; did you mean metrics?' list metric
	for name in strategy workload on machine format; do
		accept "" run "--$name" help
		check "--$name help lists something" [ -s "$tmp/out" ]
	done
	# names are found from elsewhere, too
	mkdir -p "$tmp/tree/build"
	cp "$dpamt" "$tmp/tree/build"
	ln -sfn "$tree/workloads" "$tmp/tree/workloads"
	(cd / && "$tmp/tree/build/dpamt" list workloads) >"$tmp/out" 2>&1
	check "workloads are found from another folder" grep -q fault-storm "$tmp/out"
	if [ -w /dev/full ]; then
		"$dpamt" list >/dev/full 2>"$tmp/err"
		check "a full disk is no success" [ $? = 3 -a -s "$tmp/err" ]
	fi
}

test_documents()
{
	accept ".TH DPAMT 1" help --man
	if command -v groff >/dev/null; then
		groff -man -ww -Tascii "$tmp/out" >/dev/null 2>"$tmp/err"
		check "the manual page has no roff warning" [ ! -s "$tmp/err" ]
	fi
	for option in strategy threads gate format completion; do
		check "--$option is in the manual page" grep -qF ".B \\-\\-$option" "$tmp/out"
	done
	accept "complete -F _dpamt dpamt" help --completion
	check "the completion is bash" bash -n "$tmp/out"
	cp "$tmp/out" "$tmp/completion"
	check "completes verbs" [ "$(complete_words r)" = "run report" ]
	check "completes options" [ "$(complete_words run --thr)" = "--threads=" ]
	check "completes values" [ "$(complete_words run --on = mod)" = "model" ]
	check "completes lists" \
		[ "$(complete_words run --strategy = null,global-)" = null,global-fast ]
	refuse 2 "one of VERB, --man and --completion" help --man --completion
}

complete_words()
{
	(
		# shellcheck disable=SC1091
		. "$tmp/completion"
		# shellcheck disable=SC2317
		compopt() { :; }
		COMP_WORDS=("$dpamt" "$@")
		COMP_CWORD=$#
		_dpamt
		echo "${COMPREPLY[@]}"
	)
}

# A run by hand: DIR, then a factor on global's cost against the baseline's and on the run's.
make_run()
{
	mkdir -p "$1"
	python3 - "$1" "$2" "$3" <<-'EOF'
	import json, os, sys
	folder, factor, all = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
	names = ["global-fast", "global"]
	meta = {"schema": 1, "run_id": os.path.basename(folder), "on": "model",
	        "machine": {"name": "m"}, "scale": "1/4096", "blocks": 8, "status": "complete",
	        "topology": {"cpus_usable": 2},
	        "workloads": [{"name": "hot-spot", "title": "t", "hash": "h",
	                       "primary": "pamt_ns_per_page"}],
	        "strategies": [{"name": n, "control": False} for n in names]}
	json.dump(meta, open(folder + "/run.json", "w"))
	with open(folder + "/samples.jsonl", "w") as f:
	    for block in range(8):
	        for i, name in enumerate(names):
	            value = 100 * all * (1 + 0.05 * (block % 3)) * (factor if i else 1)
	            value *= 1 + (0.001 if (block >> i) & 1 else -0.001)
	            print(json.dumps({"kind": "cell", "workload": "hot-spot", "strategy": name,
	                              "block": block, "status": "ok",
	                              "metrics": {"pamt_ns_per_page": value,
	                                          "wait_count": 1000}}), file=f)
	EOF
}

test_compare()
{
	local format

	make_run "$tmp/r/slower" 1.3 1
	sleep 0.02
	make_run "$tmp/r/faster" 0.7 1
	sleep 0.02
	make_run "$tmp/r/worse" 1.3 1.5
	accept "global" compare slower --out "$tmp/r"
	accept "regressed" compare slower --out "$tmp/r"
	accept "improved" compare "$tmp/r/faster"
	run compare slower --out "$tmp/r" --gate
	check "the gate fails on a regression" [ "$code" = 1 -a -s "$tmp/out" ]
	run compare faster --out "$tmp/r" --gate
	check "the gate passes an improvement" [ "$code" = 0 -a -s "$tmp/out" ]
	run compare slower worse --out "$tmp/r" --gate
	check "the gate fails across runs" [ "$code" = 1 ]
	run compare worse slower --out "$tmp/r" --gate
	check "the gate passes the other way round" [ "$code" = 0 ]
	run compare slower --out "$tmp/r" --margin 50% --gate
	check "within the margin nothing regressed" [ "$code" != 1 ]
	run compare latest --out "$tmp/r"
	contains "$out" worse || contains "$out" regressed || fail "latest is the newest run"
	for format in json csv markdown; do
		accept "global" compare slower --out "$tmp/r" --format $format
		[ $format = json ] && check "compare --format json is JSON" is_json "$tmp/out"
	done
	accept "global" compare slower --out "$tmp/r" --strategy global --workload hot-spot
	refuse 2 'hot-spot' compare slower --out "$tmp/r" --workload nope
	refuse 2 'no run "nope": ' compare nope --out "$tmp/r"
	refuse 2 'No such file' compare --out "$tmp/absent"
	mkdir -p "$tmp/empty"
	refuse 2 'no run there' report --out "$tmp/empty"
	refuse 2 '--baseline belongs to' compare slower faster --out "$tmp/r" --baseline global
}

test_report()
{
	local format

	for format in text json csv markdown; do
		accept "hot-spot" report slower --out "$tmp/r" --format $format
		check "report --format $format: nothing on stderr" [ ! -s "$tmp/err" ]
		[ $format = json ] && check "report --format json is JSON" is_json "$tmp/out"
	done
	check "report writes nothing unless told" [ ! -e "$tmp/r/slower/report.md" ]
	accept "hot-spot" report slower --out "$tmp/r" --write
	check "report --write writes report.md" [ -s "$tmp/r/slower/report.md" ]
	# a foreign, a cut off and a newer file
	mkdir -p "$tmp/r/foreign" "$tmp/r/newer"
	echo "not JSON" >"$tmp/r/foreign/run.json"
	refuse 2 "foreign/run.json" report foreign --out "$tmp/r"
	echo '{"schema": 999, "run_id": "newer"}' >"$tmp/r/newer/run.json"
	: >"$tmp/r/newer/samples.jsonl"
	refuse 2 "999" report newer --out "$tmp/r"
	truncate -s -20 "$tmp/r/faster/samples.jsonl"
	accept "cut off" report faster --out "$tmp/r"
}

test_run()
{
	local cell=(--workload hot-spot --strategy "global-fast,lockless" --scale 1/4096 --runs 1)

	run run "${cell[@]}" --out "$tmp/o" --dry-run
	check "a dry run exits 0" [ "$code" = 0 ]
	check "a dry run writes nothing" [ ! -e "$tmp/o" ]
	check "a dry run names what would run" contains "$out$err" hot-spot
	run run "${cell[@]}" --out "$tmp/o" --format json
	check "run of two tiny cells" [ "$code" = 0 ]
	check "run --format json is one JSON document" is_json "$tmp/out"
	check "the results folder has run.json" [ -n "$(ls "$tmp"/o/*/run.json 2>/dev/null)" ]
	accept "lockless" report latest --out "$tmp/o"
	accept "lockless" report latest --out "$tmp/o" --format csv
	run compare latest --out "$tmp/o" --gate
	check "one block is inconclusive" [ "$code" = 5 ]
	refuse 2 "no run \"nope\"" run "${cell[@]}" --out "$tmp/o" --resume nope
	refuse 2 "nonsense" run "${cell[@]}" --out "$tmp/o" --set nonsense=1
	: >"$tmp/file"
	run run "${cell[@]}" --out "$tmp/file/o"
	check "an unwritable results folder exits 2 or 3, with one line" \
		[ \( "$code" = 2 -o "$code" = 3 \) -a ! -s "$tmp/out" -a -s "$tmp/err" ]
	printf '[global]\nnonsense = 1\n' >"$tmp/bad.wl"
	refuse 2 "bad.wl:" run --workload "$tmp/bad.wl" --dry-run
}

test_check()
{
	refuse 4 '--strategy: v3 runs under explore only, not under check: ' check --strategy lockless,v3
	refuse 2 '--schedules: "0"' check --schedules 0
	run check --strategy lockless --schedules 2 --quiet
	check "a short check passes" [ "$code" = 0 ]
}

# A machine made of fakes: programs in $tmp/bin, which alone is the PATH.
fake()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
}

setup() # CODE WHAT-STDOUT-OR-STDERR-CONTAINS ARGS..
{
	local want=$1 part=$2

	shift 2
	last="scripts/setup.sh $*"
	PATH="$tmp/bin" APT_LISTS="$tmp/lists" "$(command -v sh)" scripts/setup.sh "$@" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
	if [ "$code" = "$want" ] && contains "$out$err" "$part"; then
		ok
	else
		fail "$last: want code $want and \"$part\""
	fi
}

status()
{
	local package

	for package; do printf "ii \\t%s\\t\\n" "$package"; done >"$tmp/status"
}

test_setup()
{
	local build="gcc libc6-dev make pkg-config libjansson-dev libhwloc-dev libpfm4-dev"
	local tool

	mkdir -p "$tmp/bin" "$tmp/lists"
	: >"$tmp/lists/x_Packages"
	for tool in awk cat grep head mktemp rm sed tr cut env; do
		ln -sf "$(command -v $tool)" "$tmp/bin/$tool"
	done
	fake dpkg-query "cat $tmp/status"
	fake apt-get "echo \"\$*\" >>$tmp/apt; exit 0"
	fake id "echo 1000"
	fake sudo "exit 1"
	# shellcheck disable=SC2086
	status $build gnuplot-nox
	setup 0 "" build plots
	check "all there: silent" [ ! -s "$tmp/out" -a ! -s "$tmp/err" ]
	# shellcheck disable=SC2086
	status ${build/pkg-config/pkgconf} gnuplot-qt
	setup 0 "" build plots
	check "what provides it counts" [ ! -s "$tmp/out" -a ! -s "$tmp/err" ]
	# no right to install: the one line, exit 3
	status gcc libc6-dev make pkg-config libhwloc-dev libpfm4-dev gnuplot-nox
	setup 3 "sudo apt-get install -y --no-install-recommends libjansson-dev" build
	check "exactly one line on stdout" [ "$(wc -l <"$tmp/out")" = 1 -a ! -s "$tmp/err" ]
	# shellcheck disable=SC2086
	status $build
	setup 0 "no plots in the report" build plots
	check "no apt-get without the right" [ ! -e "$tmp/apt" ]
	# with sudo
	status gcc libc6-dev make pkg-config libhwloc-dev libpfm4-dev
	fake sudo "shift; exec \"\$@\""
	fake true "exit 0"
	setup 0 "apt-get install libjansson-dev" build
	check "apt-get was asked" grep -q \
		'Timeout=120 .*install -y --no-install-recommends libjansson-dev' "$tmp/apt"
	check "no needless update" [ "$(grep -c update "$tmp/apt")" = 0 ]
	# no lists yet: update first
	rm "$tmp/lists/x_Packages" "$tmp/apt"
	setup 0 "apt-get update" build
	check "update comes first" [ "$(head -n 1 "$tmp/apt" | grep -c update)" = 1 ]
	# no network
	fake apt-get "echo 'E: Failed to fetch http://x  Could not resolve host'; exit 100"
	setup 3 "no network" build
	check "one line for no network" [ "$(grep -c 'no network' "$tmp/err")" = 1 ]
	fake apt-get "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend'; exit 100"
	setup 3 "holds the lock" build
	# optional ones may fail
	# shellcheck disable=SC2086
	status ${build/libpfm4-dev/}
	fake apt-get "echo 'E: Unable to locate package libpfm4-dev'; exit 100"
	setup 0 "no hardware counters" build
	rm "$tmp/bin/dpkg-query"
	setup 3 "jansson, with headers" build
	setup 2 'unknown purpose "nope"; valid: build, check' nope
}

preflight() # CODE PART
{
	last="scripts/preflight.sh"
	out=$(PREFLIGHT_ROOT="$tmp/host" sh scripts/preflight.sh 2>"$tmp/err")
	code=$?
	err=$(cat "$tmp/err")
	if [ "$code" = "$1" ] && contains "$out" "$2" && [ -z "$err" ]; then
		ok
	else
		fail "$last: want code $1 and \"$2\""
	fi
}

# The /proc, /sys and /dev of a TDX host; then one thing after the other goes wrong.
test_preflight()
{
	local h=$tmp/host

	mkdir -p "$h/proc/sys/kernel" "$h/boot" "$h/dev/cpu/0" "$h/sys/devices/system/cpu" \
		"$h/sys/module/kvm_intel/parameters"
	{
		printf 'vendor_id\t: GenuineIntel\nmodel name\t: Xeon\n'
		printf 'flags\t\t: vmx ss xsave movdir64b\n'
	} >"$h/proc/cpuinfo"
	echo 7.3.4 >"$h/proc/sys/kernel/osrelease"
	printf 'CONFIG_%s=y\n' KVM_INTEL INTEL_TDX_HOST KVM_INTEL_TDX CONTIG_ALLOC HIBERNATION \
		>"$h/boot/config-7.3.4"
	echo "root=/dev/sda1 nohibernate" >"$h/proc/cmdline"
	echo "MemAvailable:   263000000 kB" >"$h/proc/meminfo"
	echo Y >"$h/sys/module/kvm_intel/parameters/tdx"
	echo 0-7 >"$h/sys/devices/system/cpu/present"
	echo >"$h/sys/devices/system/cpu/offline"
	: >"$h/dev/kvm"
	{ head -c 135 /dev/zero; printf '\077\0\0\0\100\0\0\0'; } >"$h/dev/cpu/0/msr"
	preflight 0 "this is a TDX host"
	preflight 0 "64, one of them"
	rm "$h/dev/cpu/0/msr"
	preflight 3 "missing  TDX KeyIDs"
	echo "[    0.5] virt/tdx: BIOS enabled: private KeyID range [64, 128)" >"$h/dmesg"
	preflight 0 "64, one of them"
	echo "root=/dev/sda1" >"$h/proc/cmdline"
	preflight 3 "add nohibernate"
	sed -i /HIBERNATION/d "$h/boot/config-7.3.4"
	preflight 0 "all 17 there"
	echo N >"$h/sys/module/kvm_intel/parameters/tdx"
	preflight 3 "add kvm_intel.tdx=1"
	echo Y >"$h/sys/module/kvm_intel/parameters/tdx"
	sed -i 's/vmx ss/vmx ss hypervisor/' "$h/proc/cpuinfo"
	preflight 3 "missing  bare metal"
	sed -i 's/ hypervisor//; s/movdir64b//' "$h/proc/cpuinfo"
	preflight 3 "missing  MOVDIR64B"
	echo 3 >"$h/sys/devices/system/cpu/offline"
	preflight 3 "offline: 3"
	sh scripts/preflight.sh nonsense >"$tmp/out" 2>"$tmp/err"
	check "preflight: usage" [ $? = 2 -a ! -s "$tmp/out" ]
}

test_verbs
test_options
test_values
test_threads
test_lists
test_documents
test_compare
test_report
test_run
test_check
test_setup
test_preflight

echo "test_cli: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
