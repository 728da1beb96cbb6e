#!/usr/bin/env bash
# lazy_loader, which scikit-image and this package use for their sub-packages.
#
# Up to 0.5, a name of a lazy package was looked up in its module at each access; since 0.6 the value
# of the first access stays in the package. So whether replacing `package.module.name` (a test that
# patches a function, a plug-in that wraps one) is seen through `package.name` depends on the version,
# and with 0.6 on whether somebody used `package.name` before. Patch the name in the package.
#
# Seen with Python 3.11: 0.5 prints "after after", 0.6 prints "after before".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/package"
cat > "$work/package/__init__.py" <<'END'
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"module": ["unused", "used"]}
)
END
printf 'unused = used = "before"\n' > "$work/package/module.py"
cat > "$work/look.py" <<'END'
import package
import package.module

package.used
package.module.unused = package.module.used = "after"
print(package.unused, package.used)
END
look() {
    python3 -m pip install -q --no-deps --target "$work/lib-$1" "lazy-loader==$1"
    (cd "$work" && PYTHONPATH="lib-$1" python3 look.py)
}
old=$(look 0.5)
new=$(look 0.6)
echo "lazy-loader 0.5: $old"
echo "lazy-loader 0.6: $new"
[ "$old" = "after after" ] && [ "$new" = "after before" ]
