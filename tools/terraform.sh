#!/usr/bin/env bash
# Runs terraform for one environment, with its own state and values: terraform.sh build|dev|staging|prod COMMAND...
# Beside deploy/terraform/README.md lie the values: NAME.tfvars and NAME.gcs.tfbackend, out of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-}
shift || true

case $name in
  build) folder=deploy/terraform/images ;;
  dev | staging | prod) folder=deploy/terraform/environment ;;
  *) echo "ENVIRONMENT is '$name'. Expected build, dev, staging or prod: make terraform ENVIRONMENT=dev DO=plan" >&2; exit 2 ;;
esac
command -v terraform >/dev/null || { echo "terraform is not there: https://developer.hashicorp.com/terraform/install" >&2; exit 2; }
for file in "$name.tfvars" "$name.gcs.tfbackend"; do
  [ -f "$folder/$file" ] || { echo "$folder/$file is not there: copy $file.example and fill it in." >&2; exit 2; }
done

# A folder of its own for what terraform downloads and remembers: no environment takes another's state.
export TF_DATA_DIR="$PWD/build/terraform/$name"
mkdir -p "$TF_DATA_DIR"
terraform -chdir="$folder" init -input=false -backend-config="$name.gcs.tfbackend" >"$TF_DATA_DIR/init.txt" || {
  cat "$TF_DATA_DIR/init.txt" >&2
  exit 1
}
case $1 in
  plan | apply | destroy | refresh | import) exec terraform -chdir="$folder" "$1" -var-file="$name.tfvars" "${@:2}" ;;
  *) exec terraform -chdir="$folder" "$@" ;;
esac
