# Runs test programs that print TAP and counts what came; sourced by tests/run, which sets logs (a folder),
# skips_allowed (a file), and passed, failed and skipped to 0.

# allowed NAME TEXT: whether $skips_allowed lets this test be skipped with this text.
allowed() {
    local name text
    while IFS=$'\t' read -r name text _; do
        [[ $name != \#* && $name != "" && $1 == $name && $2 == $text ]] && return 0
    done <"$skips_allowed"
    return 1
}

# skips NAME LOG: prints every skip of a log; sets unasked to the number of those that nothing allows.
skips() {
    local line
    unasked=0
    while read -r line; do
        if allowed "$1" "$line"; then
            echo "    SKIPPED $line"
        else
            echo "    SKIPPED, and $skips_allowed does not allow it: $line"
            unasked=$((unasked + 1))
        fi
    done < <(sed -nE '/^(not )?ok .*# SKIP/I { s/^(not )?ok [0-9]* ?-? ?//; s/# SKIP ?//I; s/ +$//; p }' "$2")
}

# beside NAME LIMIT COMMAND...: starts it once fewer than $at_once others run. Each is told of, and counted, when
# it has ended, in the order in which they were started; settle waits for all.
beside() {
    while [ "$running" -ge "$at_once" ]; do reap; done
    names+=("$1") running=$((running + 1))
    local number=$((${#names[@]} - 1)) start=$SECONDS
    {
        timeout -k 10 "$2" "${@:3}" >"$(log_of "$1")" 2>&1 </dev/null {ends}>&-
        echo "$number $? $((SECONDS - start))" >&"$ends"
    } &
}
log_of() { echo "$logs/${1//\//-}.log"; }
settle() { while [ "$running" -gt 0 ]; do reap; done; }
one() { beside "$@" && settle; }

# reap: waits until one more has ended; the news of it come through a pipe, since bash forgets jobs that end
# while it is busy.
reap() {
    local number end
    read -r number end <&"$ends"
    ended[number]=$end running=$((running - 1))
    while [ -n "${ended[told]-}" ]; do
        tell "${names[told]}" ${ended[told]}
        told=$((told + 1))
    done
}
exec {ends}<> <(:)
names=() ended=() running=0 told=0 at_once=${at_once:-$(nproc)}

# tell NAME STATUS SECONDS: shows what failed or was skipped, counts.
tell() {
    local name=$1 status=$2 log ok bad skip plan twice unasked why=
    log=$(log_of "$name")
    skip=$(grep -ciE '^(not )?ok .*# SKIP' "$log")
    ok=$(grep -E '^ok ' "$log" | grep -vci '# SKIP')
    bad=$(grep -E '^not ok ' "$log" | grep -vci '# SKIP')
    # Numbers alone: what stands behind one, as in "1..0 # SKIP reason", must not come into the shell's
    # arithmetic, where an error ends the caller's whole loop, and with it the run, without a failure.
    plan=$(awk '/^1\.\.[0-9]/ { n += substr ($0, 4); said = 1 } END { if (said) printf "%d", n }' "$log")
    # A test whose number came before, or stands in no plan, hides that another one did not run: what a plan
    # counts is numbered from 1, and a log may hold several plans.
    twice=$(awk '/^1\.\.[0-9]/ { for (i = substr ($0, 4) + 0; i > 0 && i < 100000; i--) due[i]++ }
                 /^(not )?ok [0-9]/ { came[($1 == "ok" ? $2 : $3) + 0]++ }
                 END { for (n in came) if (came[n] > due[n]) { print n; exit } }' "$log")
    if [ "$status" -eq 124 ]; then
        why="no end within $3 s"
    elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        why="exit status $status"
    elif [ "${plan:-0}" -ne $((ok + bad + skip)) ] || [ -z "$plan" ]; then
        why="the plan says ${plan:-nothing}, $((ok + bad + skip)) results came"
    elif [ -n "$twice" ]; then
        why="test $twice came more often than the plan has it"
    elif [ "$plan" = 0 ]; then
        why="no tests in it"
    fi
    [ -z "$why" ] || [ "$bad" -gt 0 ] || bad=1
    printf '%-44s %3d passed' "$name" "$ok"
    [ "$bad" -eq 0 ] || printf ', %d failed' "$bad"
    [ "$skip" -eq 0 ] || printf ', %d skipped' "$skip"
    printf '  (%d s)\n' "$3"
    skips "$name" "$log"
    bad=$((bad + unasked)) skip=$((skip - unasked))
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    if [ "$bad" -gt 0 ]; then
        [ -z "$why" ] || echo "    $why; whole output: $log"
        grep -vE '^ok ' "$log" | tail -n 40 | sed 's/^/    /'
    fi
}

# each KIND PATTERN: the tests of a kind, by path; none at all is a failure.
each() {
    local found=()
    for t in $2; do [ -e "$t" ] && found+=("$t"); done
    if [ ${#found[@]} -eq 0 ]; then
        echo "no tests of the kind $1: $2 names nothing" >&2
        return 1
    fi
    printf '%s\n' "${found[@]}"
}

# fail TEXT: counts what is no test's.
fail() {
    echo "$1"
    failed=$((failed + 1))
}
