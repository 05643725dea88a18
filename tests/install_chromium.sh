#!/bin/sh
# A Chromium for the tests of pages. Whoever may not install one gets all other tests; an installation that fails is an error.
# BROWSER_REQUIRED: not to have one is an error too, so that no machine that answers for the pages skips them in silence.
set -eu
export DEBIAN_FRONTEND=noninteractive

present() { command -v chromium >/dev/null || command -v google-chrome >/dev/null; }

if present; then exit 0; fi
if ! command -v apt-get >/dev/null; then may=no
elif [ "$(id -u)" = 0 ]; then may=yes; root=
elif sudo -n true 2>/dev/null; then may=yes; root='sudo -n'
else may=no; fi

if [ "$may" = no ]; then
    echo '没有 Chromium，也无权安装：网页测试将被跳过，其余测试照常运行。需要时请管理员执行：apt-get install chromium' >&2
    echo 'There is no Chromium and no right to install one: the tests of pages are skipped, all others run.' \
        'An administrator can install it: apt-get install chromium' >&2
    if [ -n "${BROWSER_REQUIRED:-}" ]; then
        echo 'BROWSER_REQUIRED：此处必须测试网页，到此为止。/ Pages must be tested here: this is the end.' >&2
        exit 1
    fi
    exit 0
fi
if $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends chromium && present; then exit 0; fi
echo '安装 Chromium 失败，原因见上。/ Chromium could not be installed; the reason is above.' >&2
exit 1
