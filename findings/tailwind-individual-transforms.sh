#!/usr/bin/env bash
# Tailwind 4.3.5: with `--minify`, a rule that has `transform` loses the properties `rotate`, `scale` and `translate`
# before it, also those of `@apply`. Those after it are moved into `transform`, where they act in another order.
# `border-image: none` loses its value. Lightning CSS 1.33.0, which Tailwind uses, does this.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

npm install --silent --no-audit --no-fund --prefix "$work" tailwindcss@4.3.5 @tailwindcss/cli@4.3.5 lightningcss@1.33.0
cat >"$work/input.css" <<'CSS'
@import "tailwindcss" source(none);
.applied { @apply rotate-90; transform: translateX(10px); }
.before { rotate: 90deg; transform: translateX(20px); }
.after { transform: translateX(30px); rotate: 90deg; }
.plain { border-image: none; }
CSS
build() {
    (cd "$work" && node_modules/.bin/tailwindcss --input input.css "$@" 2>/dev/null) | tr -d '\n' |
        grep -oE '\.(applied|before|after|plain) ?\{[^}]*\}' | sed -E 's/ +/ /g'
}
echo 'tailwindcss 4.3.5, lightningcss 1.33.0:'
{
    echo 'without --minify:'
    build
    echo 'with --minify:'
    build --minify
} | expect 'without --minify:
.applied { rotate: 90deg; transform: translateX(10px);}
.before { rotate: 90deg; transform: translateX(20px);}
.after { transform: translateX(30px); rotate: 90deg;}
.plain { border-image: none;}
with --minify:
.applied{transform:translate(10px)}
.before{transform:translate(20px)}
.after{transform:translate(30px)rotate(90deg)}
.plain{border-image:}'
