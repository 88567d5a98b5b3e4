case "$1" in
train) exec footplate train ;;
serve) exec python3 -m http.server 8080 ;;
*) exec "$@" ;;
esac
