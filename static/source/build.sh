#!/bin/sh
# Builds the files of static/ from the locked npm packages. Needs node 20 or later and npm.
# The outputs are committed: whoever builds the portal needs cargo alone.
set -eu
cd "$(dirname "$0")"
out=..

npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

node_modules/.bin/sass --style=compressed --no-source-map --fatal-deprecation=global-builtin \
  --load-path=node_modules/govuk-frontend/dist/govuk \
  scss/app.scss "$out/app.css"
node_modules/.bin/esbuild js/app.js --bundle --minify --format=esm --target=es2020 \
  --legal-comments=none --log-level=warning --outfile="$out/app.js"
node squeeze.mjs "$out/app.js" "$out/app.css" "$out/favicon.svg"

# Nothing of what makes a government site: no crest, no crown, no font of theirs, no blue of theirs.
if grep -n -i -o -E 'gds transport|@font-face|crest|crown|1d70b8|2b8cc4|sourceMappingURL|url\(' \
  "$out/app.css" "$out/app.js" "$out/favicon.svg"; then
  echo "static/: a crest, a foreign font or colour, a source map or a url() got in" >&2
  exit 1
fi
