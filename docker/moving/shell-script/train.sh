echo "preparing"
python3 train.py "$@"
