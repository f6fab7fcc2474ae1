#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Do the tests see bugs? Each bench/tests/breaks/*.patch puts one bug into a
# copy of the tree; at least one of the tests that it names must turn red there
# (a hang counts, a break that does not compile does not). One line per break;
# exit 1 if any stays green. A few minutes on 2 cores.
#
#	scripts/check-breaks.sh [NAME..]		all breaks, or those named
#	scripts/check-breaks.sh --verbose [NAME..]	every test that is named, and what it said
#	scripts/check-breaks.sh --table			the breaks as a Markdown table
#
# A patch begins with lines of "Break: what is broken", "Race: R4" (if it is one
# of the known races), "Class: area" and "Caught-by: test_x schedules:STRATEGY.."
# (a program or script of bench/tests, the random schedules of one strategy,
# explore:STRATEGY, the explorer at bound 2, which must turn red whoever else
# does, or tsan:test_x, a program under ThreadSanitizer).
set -u
cd "$(dirname "$0")/.." || exit 3

root=$PWD
breaks=bench/tests/breaks
build=${BUILD:-build}
case $build in /*) ;; *) build=$root/$build ;; esac
work=$build/breaks
tree=$work/tree
log=$work/log
jobs=$(nproc)
schedules=${SCHEDULES:-1000}
# All but the largest, which catches nothing that these do not.
scenarios=first,last,puts,cross,across,inside,busy,busywait,nomem,badadd,badremove,map2m,demote,promote
scenarios+=,retained,switch,audit,locks
patience=90	# seconds until a test counts as hanging
verbose='' table=''

die() {
	echo "check-breaks: $*" >&2
	exit 3
}

# header KEY FILE: its value.
header() {
	sed -n -e '/^diff /q' -e "s/^$1: *//p" "$2"
}

while [ $# -gt 0 ]; do
	case $1 in
	--table) table=1 ;;
	--verbose) verbose=1 ;;
	-h | --help)
		sed -n '4,18s/^#\s\?//p' scripts/check-breaks.sh
		exit 0
		;;
	-*)
		echo "check-breaks: unknown option $1; valid: --table, --verbose, --help" >&2
		exit 2
		;;
	*) break ;;
	esac
	shift
done

patches=()
if [ $# -gt 0 ]; then
	for name in "$@"; do
		file=$breaks/$(basename "$name" .patch).patch
		if [ ! -f "$file" ]; then
			echo "check-breaks: there is no break $name" >&2
			exit 2
		fi
		patches+=("$file")
	done
else
	patches=("$breaks"/*.patch)
	[ -f "${patches[0]}" ] || die "no breaks in $breaks"
fi
for file in "${patches[@]}"; do
	for key in Break Class Caught-by; do
		[ -n "$(header $key "$file")" ] || die "$file has no line \"$key:\""
	done
done

if [ -n "$table" ]; then
	echo '| break | class | race | caught by |'
	echo '| --- | --- | --- | --- |'
	for file in "${patches[@]}"; do
		echo "| $(header Break "$file") | $(header Class "$file") |" \
			"$(header Race "$file") | $(header Caught-by "$file" | sed 's/ /, /g') |"
	done
	exit 0
fi

# ---------------------------------------------------------------------- tree

# What the copy needs: files that git knows or would take; without git, all but builds.
list_files() {
	git ls-files -co --exclude-standard -z 2>/dev/null ||
		find . \( -path './build*' -o -path ./.git \) -prune -o -type f -printf '%P\0'
}

# Only what differs is written, so that a second run need not build all again.
copy_tree() {
	local file
	mkdir -p "$tree"
	while IFS= read -r -d '' file; do
		[ -f "$file" ] || continue
		cmp -s "$file" "$tree/$file" && continue
		mkdir -p "$tree/$(dirname "$file")"
		rm -f "$tree/$file"
		cp "$file" "$tree/$file" || die "cannot copy $file"
	done
	# What is not in the tree any more must not be built.
	while IFS= read -r -d '' file; do
		[ -f "$root/$file" ] || rm -f "$tree/$file"
	done < <(cd "$tree" && find . -path ./build -prune -o -type f -printf '%P\0')
}

# Few lines of context, so that a break survives edits beside it. The copy is no repository.
apply() {
	(cd "$tree" && GIT_CEILING_DIRECTORIES=$work git apply -C1 "$@")
}

# The make of whoever called is no matter of ours: neither its flags nor its jobs.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES BUILD
compile() {
	local targets=build/dpamt tsan='' t
	for t in "$@"; do
		case $t in
		tsan:*) tsan+=" build/tsan/tests/${t#tsan:}" ;;
		*) [ -f "$tree/bench/tests/$t.c" ] && targets+=" build/tests/$t" ;;
		esac
	done
	# shellcheck disable=SC2086
	make -C "$tree" -s -j"$jobs" BUILD=build CFLAGS="${CFLAGS:-} -g0" $targets >"$log" 2>&1 ||
		return 1
	[ -n "$tsan" ] || return 0
	# shellcheck disable=SC2086
	make -C "$tree" -s -j"$jobs" BUILD=build/tsan OPT=-O1 CFLAGS=-fsanitize=thread \
		LDFLAGS=-fsanitize=thread $tsan >"$log" 2>&1
}

# --------------------------------------------------------------------- tests

# run TEST: 0 green, 1 red, 2 it cannot be run. What it said is in $log, why it is red in $why.
run() {
	local test=$1 status line
	local -a command
	case $test in
	schedules:*) command=(build/dpamt check --quiet --schedules "$schedules" \
			      --strategy "${test#schedules:}") ;;
	explore:*) command=(build/dpamt explore --quiet --bound 2 --random 0 --jobs "$jobs" --seconds 50 \
			    --scenario "$scenarios" --out build \
			    --strategy "${test#explore:}") ;;
	tsan:*)
		command=("build/tsan/tests/${test#tsan:}")
		[ -x "$tree/${command[0]}" ] || return 2
		;;
	*)
		if [ -f "$tree/bench/tests/$test.sh" ]; then
			command=(bash "bench/tests/$test.sh")
		else
			command=("build/tests/$test")
			[ -x "$tree/${command[0]}" ] || return 2
		fi
		;;
	esac
	(cd "$tree" && DPAMT=build/dpamt TSAN_OPTIONS='halt_on_error=1 exitcode=66' \
		timeout -k 5 $patience "${command[@]}") >"$log" 2>&1
	status=$?
	# The explorer says 1 when it has found something; out of time is no finding.
	case $test:$status in
	explore:*:[01]) ;;
	explore:*) return 2 ;;
	esac
	case $status in
	124 | 137) why="hangs" ;;
	126 | 127) return 2 ;;
	*) why="exit $status" ;;
	esac
	line=$(grep -oE '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
	if [ $status -eq 0 ]; then
		case $line in
		*' 0 failed') return 0 ;;
		*) why="no result" ;;
		esac
	fi
	return 1
}

# The first complaint of a red test.
complaint() {
	{ grep -m 1 -A 1 -E 'FAIL|SUMMARY' "$log" || head -n 2 "$log"; } | cut -c 1-160 | sed 's/^/    /'
}

report() {
	printf '%-6s %-34s %-17s %-4s %s\n' "$1" "$(basename "$2" .patch)" \
		"$(header Class "$2")" "$(header Race "$2")" "$3"
}

# Every test that is named must be green without a break: otherwise it proves nothing.
check_green() {
	local test bad=0
	for test in "$@"; do
		run "$test"
		case $? in
		0) continue ;;
		1) echo "check-breaks: $test is red without any break ($why)" ;;
		2) echo "check-breaks: there is no test $test" ;;
		esac
		tail -n 5 "$log" | sed 's/^/    /'
		bad=1
	done
	return $bad
}

# One break: 0 if a test turned red.
try() {
	local file=$1 test tests caught='' green='' status started=$SECONDS
	read -r -a tests <<<"$(header Caught-by "$file" | tr -s '\n, ' ' ')"
	if ! apply "$root/$file" >"$log" 2>&1; then
		report FAILED "$file" "does not apply: $(head -n 1 "$log")"
		return 1
	fi
	applied=$root/$file
	if ! compile "${tests[@]}"; then
		report FAILED "$file" "does not build: $(grep -m 1 error: "$log")"
		revert
		return 1
	fi
	for test in "${tests[@]}"; do
		case $test in
		explore:*) ;;
		*) [ -z "$caught" ] || [ -n "$verbose" ] || continue ;;
		esac
		run "$test"
		status=$?
		case $status in
		0) green+=" $test" ;;
		1) caught+=" $test ($why)" ;;
		2) green+=" $test (cannot be run)" ;;
		esac
		[ $status -eq 1 ] && [ -n "$verbose" ] && complaint
	done
	revert
	if [ -z "$caught" ] || [[ $green == *explore:* ]]; then
		report FAILED "$file" "STAYED GREEN:$green"
		return 1
	fi
	report ok "$file" "caught by$caught, $((SECONDS - started)) s"
	[ -z "$green" ] || echo "    it is named, too, and stayed green:$green"
}

# By copies: with so little context, undoing might find another place than doing did.
revert() {
	local file
	[ -n "$applied" ] || return 0
	while read -r file; do
		rm -f "$tree/$file"
		[ ! -f "$root/$file" ] || cp "$root/$file" "$tree/$file"
	done < <(sed -n 's,^[-+]\{3\} [ab]/,,p' "$applied" | sort -u)
	applied=''
}

applied=''
trap revert EXIT
mkdir -p "$work"
copy_tree < <(list_files) || exit 3

wanted=$(for file in "${patches[@]}"; do header Caught-by "$file"; done | tr -s ', ' '\n' | sort -u)
# shellcheck disable=SC2086
if ! compile $wanted; then
	tail -n 20 "$log"
	echo 'check-breaks: the tree does not build without a break'
	echo 'check-breaks: 0 passed, 1 failed'
	exit 1
fi
# shellcheck disable=SC2086
if ! check_green $wanted; then
	echo 'check-breaks: 0 passed, 1 failed'
	exit 1
fi

passed=0 failed=0
for file in "${patches[@]}"; do
	if try "$file"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "check-breaks: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
